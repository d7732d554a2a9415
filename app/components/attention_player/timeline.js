// Under the picture, on one time axis: the slider, the maps as a filmstrip, and curves that tell how
// each token changes over time.

import { setText } from "../drawing/board.js";
import { colourLayer, createCanvas } from "../drawing/paint.js";
import { formatValue } from "../drawing/words.js";

const LEAST_SLOT_PX = 30; // of the filmstrip, where there are more steps than room
const FILM_SAMPLES = 64; // long side of a field on the filmstrip
const FAINT = 0.32; // of the tokens that are not chosen

// The middle of `source`, as large as it can be in the shape of width x height.
function cover(source, width, height) {
  const factor = Math.min(source.width / width, source.height / height);
  const size = [width * factor, height * factor];
  return [source.x + (source.width - size[0]) / 2, source.y + (source.height - size[1]) / 2, ...size];
}

// `seek(time)` while somebody drags or clicks.
export function createTimeline(root, { seek }) {
  const find = (selector) => root.querySelector(selector);
  const [slider, lane, film, curves] = [".seek", ".lane", ".film", ".tracks"].map(find);
  const [choice, value, playhead] = [".track-choice", ".track-value", ".playhead"].map(find);
  const buffer = createCanvas(1, 1);
  let header = null;
  let reel = null;
  let thumbnails = null;
  let tracks = [];
  let chosen = "";
  let filmShows = "";
  let curvesShow = "";
  let view = null;
  let step = 0;

  const onInput = () => seek(Number(slider.value));
  const onChoice = (event) => {
    chosen = event.target.value;
    draw(view);
  };
  const timeUnder = (event) => {
    const { left, width } = lane.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - left) / width)) * header.duration_s;
  };
  const onDown = (event) => {
    if (!header || event.button) return;
    lane.setPointerCapture(event.pointerId);
    seek(timeUnder(event));
  };
  const onMove = (event) => {
    if (lane.hasPointerCapture(event.pointerId)) seek(timeUnder(event));
  };
  slider.addEventListener("input", onInput);
  choice.addEventListener("input", onChoice);
  lane.addEventListener("pointerdown", onDown);
  lane.addEventListener("pointermove", onMove);

  const colourOf = (token) => header.colors[token % header.colors.length];

  function fitCanvas(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    return { width, height, ratio };
  }

  function stepAtShare(share) {
    const time = share * header.duration_s;
    let found = 0;
    while (found + 1 < reel.length && header.starts_s[found + 1] <= time) found += 1;
    return found;
  }

  function drawFilm(settings, colours) {
    const { width, height, ratio } = fitCanvas(film);
    if (!width || !height) return;
    const wants = JSON.stringify([header.id, width, height, settings]);
    if (wants === filmShows) return;
    filmShows = wants;
    const context = film.getContext("2d");
    context.clearRect(0, 0, width, height);
    const slots = Math.max(1, Math.min(reel.length, Math.floor(width / (LEAST_SLOT_PX * ratio))));
    const every = slots === reel.length;
    const ends = every ? [...header.starts_s.slice(1), header.duration_s] : null;
    for (let slot = 0; slot < slots; slot++) {
      const at = every ? slot : stepAtShare((slot + 0.5) / slots);
      const from = every ? header.starts_s[slot] / header.duration_s : slot / slots;
      const to = every ? ends[slot] / header.duration_s : (slot + 1) / slots;
      const left = Math.round(from * width);
      const place = [left, 0, Math.max(1, Math.round(to * width) - left - ratio), height];
      drawSlot(context, at, place, settings, colours);
    }
    const seen = settings.mode === "composite" ? "all tokens" : "the chosen tokens";
    film.setAttribute("aria-label", `Filmstrip: the maps of ${seen} at ${slots} moments of the clip.`);
  }

  function drawSlot(context, at, place, settings, colours) {
    const { columns, width, height } = header.film;
    const picture = { x: (at % columns) * width, y: Math.floor(at / columns) * height, width, height };
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(thumbnails, ...cover(picture, place[2], place[3]), ...place);
    const layer = reel.at(at).layer(settings, header.film, FILM_SAMPLES);
    const field = colourLayer(layer, colours, buffer);
    const whole = { x: 0, y: 0, width: field.width, height: field.height };
    // In the shape of the thumbnail: the grid's cells need not be square.
    const [x, y, w, h] = cover({ x: 0, y: 0, width, height }, place[2], place[3]);
    const across = whole.width / width;
    const down = whole.height / height;
    context.imageSmoothingEnabled = settings.interpolation === "smooth";
    context.drawImage(field, x * across, y * down, w * across, h * down, ...place);
  }

  function drawCurves(settings) {
    const { width, height, ratio } = fitCanvas(curves);
    const track = tracks.find(({ name }) => name === chosen);
    if (!track || !width || !height) return;
    const bold = settings.mode === "composite" ? null : new Set(settings.tokens);
    const wants = JSON.stringify([header.id, width, height, chosen, bold && [...bold]]);
    if (wants === curvesShow) return;
    curvesShow = wants;
    const context = curves.getContext("2d");
    context.clearRect(0, 0, width, height);
    const edge = 4 * ratio;
    const x = (at) => (header.marks_s[at] / header.duration_s) * width;
    const y = (amount) => height - edge - (amount / (track.high || 1)) * (height - 2 * edge);
    context.fillStyle = "rgba(128, 134, 146, 0.45)";
    context.fillRect(0, height - ratio, width, ratio);
    const order = Array.from({ length: reel.count }, (_, token) => token);
    order.sort((a, b) => Number(bold?.has(a) ?? 0) - Number(bold?.has(b) ?? 0));
    for (const token of order) {
      const strong = bold ? bold.has(token) : true;
      context.globalAlpha = strong ? 1 : FAINT;
      context.strokeStyle = context.fillStyle = colourOf(token);
      context.lineWidth = (strong && bold ? 2.5 : 1.5) * ratio;
      context.lineJoin = "round";
      context.beginPath();
      track.values.forEach((amounts, at) => context.lineTo(x(at), y(amounts[token])));
      context.stroke();
      if (!(strong && bold) && reel.length > 1) continue;
      track.values.forEach((amounts, at) => {
        context.beginPath();
        context.arc(x(at), y(amounts[token]), 2.5 * ratio, 0, 7);
        context.fill();
      });
    }
    context.globalAlpha = 1;
    const peak = formatValue(track.high) + track.unit;
    curves.setAttribute("aria-label", `${track.label} of ${reel.count} tokens over time, 0 to ${peak}.`);
  }

  function sayValue(settings) {
    const track = tracks.find(({ name }) => name === chosen);
    if (!track) return;
    const amounts = track.values[step];
    const leader = amounts.reduce((best, amount, token) => (amount > amounts[best] ? token : best), 0);
    const amountOf = (token) =>
      Number.isNaN(amounts[token]) ? "–" : formatValue(amounts[token]) + track.unit;
    const tokens = settings.mode === "composite" ? [leader] : settings.tokens.slice(0, 3);
    const said = tokens.map((token) => `token ${token + 1}: ${amountOf(token)}`);
    const most = settings.mode === "composite" ? "most, " : "";
    setText(value, `${most}${said.join(", ")} · ${track.about}`);
    value.title = track.about; // where there is no room for all of it
  }

  function draw(settings, colours) {
    if (!header || !settings) return;
    view = settings;
    if (colours) drawFilm(settings, colours);
    drawCurves(settings);
    sayValue(settings);
  }

  function offerTracks() {
    if (!tracks.some(({ name }) => name === chosen)) chosen = tracks[0]?.name ?? "";
    const options = tracks.map(({ name, label, about }) => {
      const option = document.createElement("label");
      const input = Object.assign(document.createElement("input"), {
        type: "radio",
        name: "track",
        value: name,
        checked: name === chosen,
      });
      const text = Object.assign(document.createElement("span"), { textContent: label, title: about });
      option.append(input, text);
      return option;
    });
    choice.replaceChildren(...options);
  }

  return {
    take(next) {
      thumbnails?.close();
      ({ header, reel, thumbnails, tracks } = next);
      slider.max = String(header.duration_s);
      step = 0; // the old one may lie behind the end
      filmShows = curvesShow = "";
      offerTracks();
    },
    draw,
    // Every frame: the slider, the line over the lane, and the number beside the curves.
    move(time, at) {
      if (!header) return;
      const share = Math.min(1, time / header.duration_s || 0);
      slider.value = String(time);
      slider.style.setProperty("--done", `${(100 * share).toFixed(2)}%`);
      playhead.style.left = `${100 * share}%`;
      if (at === step) return;
      step = at;
      if (view) sayValue(view);
    },
    describe: (text) => slider.setAttribute("aria-valuetext", text),
    destroy() {
      slider.removeEventListener("input", onInput);
      choice.removeEventListener("input", onChoice);
      lane.removeEventListener("pointerdown", onDown);
      lane.removeEventListener("pointermove", onMove);
      thumbnails?.close();
    },
  };
}

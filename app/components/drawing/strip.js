// The row of thumbnails: a listbox with one option per token and one for all of them together.

import { boxOn, colourLayer, createCanvas, drawLayer, fit, inkOn, pieOf } from "./paint.js";
import { describeTile, formatValue } from "./words.js";

const TILE_SAMPLES = 72; // long side of a tile's field: tiles are small, and there are up to 17
const MIN_ASPECT = 1; // taller ones would push the controls off the screen
const WIDE = 2.4; // from here on tiles are wider, and stand in several rows
const MAX_ASPECT = 6;

export const ALL = "all";

function tileElement(token, colour, caption, title) {
  const option = document.createElement("div");
  option.className = "tile";
  option.setAttribute("role", "option");
  option.setAttribute("aria-label", title);
  option.title = title;
  option.dataset.token = token === ALL ? ALL : String(token + 1);
  const canvas = document.createElement("canvas");
  const line = document.createElement("span");
  line.className = "caption";
  const chip = document.createElement("span");
  chip.className = "chip";
  if (token === ALL) {
    chip.style.background = colour;
  } else {
    option.style.setProperty("--token", colour);
    option.style.setProperty("--ink", inkOn(colour));
    chip.textContent = String(token + 1);
  }
  const text = document.createElement("span");
  text.className = "peak";
  text.textContent = caption;
  line.append(chip, text);
  option.append(canvas, line);
  return { option, canvas };
}

// `choose(token, combine)` on a click, `preview(token or null)` while a mouse is over a tile.
export function createStrip(list, { choose, preview }) {
  let tiles = [];
  let thumbnail = null;
  let crop = null; // what the model saw, in pixels of the photo as it arrived
  let box = null; // where it lies on a tile
  let moment = null; // of the photo on the tiles, if it moves
  let drawnWidth = 0;
  const buffer = createCanvas(1, 1);

  const tokenOf = (event) => {
    const tile = event.target.closest?.(".tile");
    if (!tile) return null;
    return tile.dataset.token === ALL ? ALL : Number(tile.dataset.token) - 1;
  };
  const onClick = (event) => {
    const token = tokenOf(event);
    if (token !== null) choose(token, event.shiftKey || event.ctrlKey || event.metaKey);
  };
  const onOver = (event) => {
    if (event.pointerType === "mouse") preview(tokenOf(event));
  };
  const onLeave = () => preview(null);
  list.addEventListener("click", onClick);
  list.addEventListener("pointerover", onOver);
  list.addEventListener("pointerleave", onLeave);

  function rebuild(scene, header, photo) {
    const colours = scene.peaks.map((_, token) => header.colors[token % header.colors.length]);
    tiles = scene.peaks.map((peak, token) => {
      const title = describeTile(token, scene);
      return { token, ...tileElement(token, colours[token], formatValue(peak), title) };
    });
    const title = "All tokens: every patch in the colour of the token that is strongest there";
    tiles.push({ token: ALL, ...tileElement(ALL, pieOf(colours), "All", title) });
    list.replaceChildren(...tiles.map(({ option }) => option));
    const [x0, y0, x1, y1] = header.box;
    const aspect = Math.min(MAX_ASPECT, Math.max(MIN_ASPECT, (x1 - x0) / (y1 - y0)));
    list.style.setProperty("--aspect", String(aspect));
    list.style.setProperty("--widths", String(Math.max(1, aspect / WIDE)));
    list.toggleAttribute("data-wide", aspect > WIDE);
    const whole = { x: 0, y: 0, width: photo.width, height: photo.height };
    crop = boxOn(whole, header.box, header.source);
    thumbnail = null;
  }

  function fitTiles(photo, pixelRatio, now) {
    const { clientWidth, clientHeight } = tiles[0].canvas;
    const width = Math.round(clientWidth * pixelRatio);
    const height = Math.round(clientHeight * pixelRatio);
    if (!width || !height) return false;
    const fits = thumbnail && thumbnail.width === width && thumbnail.height === height;
    if (fits && moment === now) return true;
    moment = now;
    if (!fits) {
      thumbnail = createCanvas(width, height);
      for (const { canvas } of tiles) Object.assign(canvas, { width, height });
    }
    box = fit(crop, width, height);
    const context = thumbnail.getContext("2d");
    context.imageSmoothingQuality = "high";
    const from = [crop.x, crop.y, crop.width, crop.height];
    context.drawImage(photo, ...from, box.x, box.y, box.width, box.height);
    return true;
  }

  return {
    rebuild,
    // Colours every tile; `colours` are those of the main picture. False while there is no room.
    // `now` differs from one picture of a clip to the next.
    draw(scene, photo, settings, colours, pixelRatio, now = 0) {
      if (!fitTiles(photo, pixelRatio, now)) return false;
      drawnWidth = tiles[0].canvas.clientWidth;
      for (const { token, canvas } of tiles) {
        const own = token === ALL ? { mode: "composite" } : { mode: "token", tokens: [token] };
        const layer = scene.layer({ ...settings, ...own }, box, TILE_SAMPLES);
        const context = canvas.getContext("2d");
        context.clearRect(0, 0, canvas.width, canvas.height);
        context.drawImage(thumbnail, 0, 0);
        colourLayer(layer, colours, buffer);
        drawLayer(context, buffer, box, settings.interpolation);
      }
      return true;
    },
    // Whether its tiles have another size than they had when they were drawn.
    isResized: () => Boolean(tiles[0]) && tiles[0].canvas.clientWidth !== drawnWidth,
    // Marks what is chosen; one tile only is in the tab order.
    mark(settings, current) {
      for (const { token, option } of tiles) {
        const selected =
          token === ALL ? settings.mode === "composite"
          : settings.mode === "token" && settings.tokens.includes(token);
        option.setAttribute("aria-selected", String(selected));
        option.tabIndex = token === current ? 0 : -1;
      }
    },
    focus(token) {
      tiles.find((tile) => tile.token === token)?.option.focus({ preventScroll: true });
    },
    hasFocus: () => tiles.some(({ option }) => option.matches(":focus")),
    destroy() {
      list.removeEventListener("click", onClick);
      list.removeEventListener("pointerover", onOver);
      list.removeEventListener("pointerleave", onLeave);
      list.replaceChildren();
    },
  };
}

// The attention player: a board with a clip on it, in step with the frame that is on the screen.

import { createBoard, mountOnce, setText } from "../drawing/board.js";
import { readBitmap, readColormaps, readMaps, saveDownload, unpackPayload } from "../drawing/payload.js";
import { createReel } from "../drawing/scene.js";
import { createClip, stepAt } from "./clip.js";
import { createTimeline } from "./timeline.js";

// Where which clip stood last. It outlives a player while other pages are looked at; every widget
// is a module of its own, so it is the window's.
const MOMENT = "tokenLearnerMoment";

// Where a clip begins, in seconds of it: where it stood when it left the page; where the link says,
// if it is the first in this window; else null.
function recallMoment(id) {
  const last = window[MOMENT];
  if (last) return last.id === id ? last.time : null;
  const asked = new URLSearchParams(window.location.search).get("t");
  return asked && Number.isFinite(Number(asked)) ? Number(asked) : null;
}

// `values[step][token]` of every curve, and the largest of them.
function readTracks({ header, block }, steps, tokens) {
  const values = new Float32Array(block(header.tracks).buffer);
  return header.tracks.kinds.map((kind, index) => {
    const own = values.subarray(index * steps * tokens, (index + 1) * steps * tokens);
    const rows = Array.from({ length: steps }, (_, step) =>
      Array.from(own.subarray(step * tokens, (step + 1) * tokens)),
    );
    return { ...kind, values: rows, high: own.reduce((most, amount) => (amount > most ? amount : most), 0) };
  });
}

// Keys that a clip has and a photo has not; in the strip, arrows go on walking through the tokens.
function clipIntentOf(event) {
  const target = event.composedPath()[0];
  switch (event.key) {
    case " ":
      return target.closest?.("button:not([role=radio]), .strip") ? null : { play: true };
    case ",":
      return { frame: -1 };
    case ".":
      return { frame: 1 };
    case "ArrowLeft":
      return target.closest?.(".strip") ? null : { jump: -1 };
    case "ArrowRight":
      return target.closest?.(".strip") ? null : { jump: 1 };
    default:
      return null;
  }
}

function createPlayer(root) {
  const find = (selector) => root.querySelector(selector);
  const video = find(".source");
  let header = null;
  let step = 0;
  let trigger = () => {};
  let arrival = 0; // counts payloads: what decodes late must not replace what came after it
  // The clip in `video`, which may come before its maps do, and where it has yet to go to.
  let opened = { id: "", ready: null, moment: null };

  const board = createBoard(root, {
    what: "frame",
    ownIntentOf: clipIntentOf,
    save: (settings) => trigger("export", { ...settings, at: step }),
    obey(intent) {
      if (intent.play) clip.toggle();
      else if (intent.frame) clip.stepFrame(intent.frame);
      else if (intent.jump) jump(intent.jump);
      else if (intent.step) trigger("step", intent.step);
    },
    linkExtras: () => ({ t: header && clip.now > 0 ? String(Number(timeOfClip().toFixed(3))) : "" }),
    drawn: (view, colours) => timeline.draw(view, colours),
  });
  const timeline = createTimeline(root, { seek: (time) => clip.seek(time) });
  const clip = createClip(video, {
    onFrame: showFrame,
    onState: showState,
    onFailure(text) {
      opened = { id: "", ready: null, moment: null };
      board.sayFailure(`The clip cannot be played: ${text}`);
    },
  });
  setText(find(".strip-hint"), "Space plays, or combines tokens · ← → sampled frame · , . frame · 1–9 token");

  // As charts and files count it.
  const timeOfClip = () => header.from_s + clip.now;

  function showFrame(time) {
    if (header?.media.id !== opened.id) return; // a new clip's frame, with the old one's maps
    step = stepAt(header.starts_s, time);
    board.show(step, time);
    timeline.move(time, step);
    const said = nameOfStep();
    const ofClip = timeOfClip();
    setText(find(".now"), ofClip.toFixed(2));
    if (said !== find(".step-name").textContent) {
      setText(find(".step-name"), said);
      timeline.describe(`${ofClip.toFixed(1)} seconds, ${said}`);
    }
    Object.assign(root.dataset, { step: String(step), time: String(time), shows: header.id });
    window[MOMENT] = { id: opened.id, time: ofClip };
    if (!clip.isPlaying) board.keepAddress();
  }

  function nameOfStep() {
    const [first, end] = header.step_frames[step];
    const total = header.step_frames.at(-1)[1];
    const seen = end - first > 1 ? `frames ${first + 1}–${end}` : `frame ${end}`;
    return `sampled ${seen} of ${total}`;
  }

  function jump(by) {
    clip.pause();
    const marks = header.marks_s;
    let to = step + by;
    while (marks[to] === marks[step]) to += by; // sampled twice, as the section has few frames
    if (to in marks) clip.seek(marks[to]);
  }

  function showState() {
    const button = find('[data-do="play"]');
    button.setAttribute("aria-label", clip.isPlaying ? "Pause" : "Play");
    root.dataset.playing = clip.isPlaying ? "1" : "0";
    if (header && !clip.isPlaying) board.keepAddress();
  }

  const onClick = (event) => {
    const button = event.target.closest?.("[data-do]");
    // A browser may want Play to be pressed before it loads anything.
    if (!button || (!header && button.dataset.do !== "play")) return;
    const deeds = {
      play: clip.toggle,
      back: () => clip.stepFrame(-1),
      forward: () => clip.stepFrame(1),
      sound() {
        const on = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(on));
        clip.setSound(on);
      },
    };
    deeds[button.dataset.do]();
  };
  const onSpeed = (event) => clip.setSpeed(Number(event.target.value));
  find(".transport").addEventListener("click", onClick);
  find('[name="speed"]').addEventListener("change", onSpeed);
  video.muted = true;
  showState();

  async function takeOver(payload) {
    const mine = ++arrival;
    const { media } = payload.header;
    const thumbnails = await readBitmap(payload, "film");
    if (mine === arrival && media.id !== opened.id) {
      const frames = new Float32Array(payload.block(payload.header.frames).buffer);
      opened = {
        id: media.id,
        ready: clip.open(payload.block(media), media.type, frames),
        moment: recallMoment(media.id),
      };
    }
    await opened.ready;
    if (mine !== arrival) return thumbnails.close();
    header = payload.header;
    const reel = createReel(readMaps(payload));
    const tracks = readTracks(payload, reel.length, reel.count);
    timeline.take({ header, reel, thumbnails, tracks });
    setText(find(".end"), `${(header.from_s + header.duration_s).toFixed(2)} s`);
    find('[data-do="sound"]').hidden = !header.media.has_sound;
    board.take({ header, reel, photo: video, colormaps: readColormaps(header) });
    const start = opened.moment === null ? 0 : opened.moment - header.from_s;
    opened.moment = null;
    if (start > 0 && start < header.duration_s) clip.seek(start);
    else if (video.readyState >= 2) showFrame(clip.now);
  }

  return {
    show({ data, setTriggerValue }) {
      trigger = setTriggerValue;
      if (!data) return;
      const payload = unpackPayload(data);
      root.classList.toggle("on-stage", payload.header.stage);
      if (saveDownload(payload)) board.saySaved();
      if (payload.header.id === header?.id && payload.header.media.id === opened.id) {
        arrival += 1; // whatever is on its way is not wanted any more
        return board.keepAddress();
      }
      takeOver(payload).catch((error) => {
        board.sayFailure(`The clip could not be drawn: ${error.message}`);
      });
    },
    destroy() {
      arrival += 1;
      find(".transport").removeEventListener("click", onClick);
      find('[name="speed"]').removeEventListener("change", onSpeed);
      clip.destroy();
      board.destroy();
      timeline.destroy();
    },
  };
}

export default function mount(component) {
  return mountOnce(component, ".player", createPlayer);
}

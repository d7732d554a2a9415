// The attention viewer: holds the state, and lets picture, strip, controls and keys act on it.
//
// Streamlit calls the default export again whenever the page runs; the viewer stays, and only new
// data is taken over. Drawing happens at most once per animation frame.

import { copyText, createControls } from "../drawing/controls.js";
import { listenToKeys } from "../drawing/keyboard.js";
import { hexToRgb, pieOf } from "../drawing/paint.js";
import { readColormaps, readMaps, readPhoto, saveDownload, unpackPayload } from "../drawing/payload.js";
import { createPicture } from "../drawing/picture.js";
import { createReel } from "../drawing/scene.js";
import { createAddressBar, soloToken, toggleToken, withKnownTokens } from "../drawing/settings.js";
import { ALL, createStrip } from "../drawing/strip.js";
import {
  describeCell,
  describePicture,
  describeScale,
  formatValue,
  nameOf,
  summarise,
} from "../drawing/words.js";

const EXPORT_PATIENCE_MS = 20_000;

function createViewer(root) {
  const find = (selector) => root.querySelector(selector);
  const address = createAddressBar();
  let header = null;
  let scene = null;
  let photo = null;
  let colormaps = {};
  let palette = null;
  let settings = null;
  let previewed = null; // token or ALL under the mouse
  let current = 0; // token or ALL that keys start from
  let cell = null; // grid cell under the pointer
  let showBox = true;
  let trigger = () => {};
  let arrival = 0; // counts payloads: a photo that decodes late must not replace a newer one
  let scheduled = 0;
  let draws = 0;
  let prepared = null; // the scene whose fields are computed ahead

  const picture = createPicture(root, {
    point(found) {
      cell = found;
      invalidate();
    },
  });
  const strip = createStrip(find(".strip"), {
    choose(token, combine) {
      pick(token, combine);
      strip.focus(token);
    },
    preview(token) {
      if (previewed === token) return;
      previewed = token;
      invalidate();
    },
  });
  const controls = createControls(find(".controls"), {
    change: (partial) => apply({ ...settings, ...partial }),
    toggleBox(shown) {
      showBox = shown;
      invalidate();
    },
    act,
  });
  const stopKeys = listenToKeys(root, {
    isStage: () => Boolean(header?.stage),
    act: onKey,
  });
  const watcher = new ResizeObserver(invalidate);
  watcher.observe(find(".frame"));
  window.addEventListener("resize", invalidate); // the pixel ratio may have changed
  window.addEventListener("pagehide", address.flush);

  const shown = () => {
    if (previewed === null) return settings;
    return previewed === ALL ? { ...settings, mode: "composite" } : soloToken(settings, previewed);
  };

  const colourOf = (token) => header.colors[token % header.colors.length];

  function invalidate() {
    if (!scheduled && photo) scheduled = requestAnimationFrame(draw);
  }

  function draw() {
    scheduled = 0;
    const started = performance.now();
    const view = shown();
    const colours = { opacity: view.opacity, colormap: colormaps[view.colormap], palette };
    if (!picture.draw({ scene, photo, header, settings: view, colours, showBox })) return;
    strip.draw(scene, photo, settings, colours, window.devicePixelRatio || 1);
    picture.markCell(cell);
    report(view);
    draws += 1;
    Object.assign(root.dataset, {
      drawMs: (performance.now() - started).toFixed(2),
      draws: String(draws),
      state: JSON.stringify(settings),
      preview: previewed === null ? "" : previewed === ALL ? ALL : String(previewed + 1),
      layout: JSON.stringify(picture.layout()),
      ready: "1",
    });
    if (prepared !== scene) prepareAhead((prepared = scene));
  }

  // While nothing else happens: what is not on the screen yet, so that the first look is as quick
  // as the second.
  function prepareAhead(target) {
    const views = [{ ...settings, mode: "composite" }];
    for (let token = 0; token < target.count; token++) views.push(soloToken(settings, token));
    views.push({ ...settings, mass: 0.5 });
    const next = () => {
      const view = views.shift();
      if (!view || scene !== target || !photo) return;
      picture.prepareField(target, view);
      whenIdle(next);
    };
    whenIdle(next);
  }

  // Everything in words and numbers around the picture.
  function report(view) {
    setText(find(".readout"), cell === null ? summarise(view, scene) : describeCell(cell, view, scene));
    setText(find(".badge"), nameOf(view) + (previewed === null ? "" : " · preview"));
    const composite = view.mode === "composite";
    const colours = (composite ? scene.peaks.map((_, token) => token) : view.tokens).map(colourOf);
    find(".badge").style.setProperty("--token", pieOf(colours));
    picture.describe(describePicture(view, scene));

    const { low, high } = scene.describe(view).range;
    setText(find(".low"), composite ? "0 %" : formatValue(low));
    setText(find(".high"), composite ? "100 %" : formatValue(high));
    setText(find(".scale-label"), describeScale(view));
    find(".ramp").style.background = composite ? "" : rampOf(colormaps[view.colormap]);
  }

  // Takes over new settings, as the user's choice: they go into the link as well.
  function apply(next) {
    settings = withKnownTokens(next, scene.count);
    controls.show(settings);
    strip.mark(settings, current);
    address.write(settings, header.defaults);
    invalidate();
  }

  function pick(token, combine) {
    current = token;
    previewed = null;
    if (token === ALL) apply({ ...settings, mode: "composite" });
    else apply(combine ? toggleToken(settings, token) : soloToken(settings, token));
    setText(find(".status"), summarise(settings, scene));
  }

  function onKey(intent) {
    if (!scene) return;
    if (intent.step) trigger("step", intent.step);
    else if (intent.confirm) pick(current, intent.combine);
    else if (intent.walk) {
      const at = current === ALL ? scene.count : current;
      const to = Math.min(scene.count, Math.max(0, at + intent.walk));
      pick(to === scene.count ? ALL : to, false);
    } else if (intent.pick < scene.count) pick(intent.pick, intent.combine);
    if (!intent.step && strip.hasFocus()) strip.focus(current);
  }

  async function act(action) {
    if (!scene) return;
    if (action === "reset") {
      current = 0;
      apply(header.defaults);
    } else if (action === "link") {
      address.flush();
      const done = await copyText(window.location.href);
      controls.say("link", done ? "Copied" : "Copy it from the address bar", 2500);
    } else if (action === "export") {
      address.flush();
      controls.say("export", "Preparing…", EXPORT_PATIENCE_MS);
      trigger("export", settings);
    }
  }

  async function takeOver(payload) {
    const mine = ++arrival;
    const decoded = await readPhoto(payload);
    if (mine !== arrival) return decoded.close();
    photo?.close();
    photo = decoded;
    header = payload.header;
    scene = createReel(readMaps(payload)).at(0);
    colormaps = readColormaps(header);
    palette = Uint8Array.from(scene.peaks.flatMap((_, token) => hexToRgb(colourOf(token))));
    settings = withKnownTokens(settings ?? header.settings, scene.count);
    current = settings.mode === "composite" ? ALL : settings.tokens[0];
    previewed = null;
    cell = null;
    controls.offer(colormaps);
    controls.show(settings);
    strip.rebuild(scene, header, photo);
    strip.mark(settings, current);
    setText(find(".strip-title"), `${scene.count} learned tokens, each with its peak`);
    setText(find(".strip-hint"), "Shift-click adds tokens up; keys 1–9, ← and → pick them");
    // The page may have rewritten the address for the new sample: put the view back into it.
    address.write(settings, header.defaults);
    invalidate();
  }

  return {
    turn: 0,
    show({ data, setTriggerValue }) {
      trigger = setTriggerValue;
      if (!data) return;
      const payload = unpackPayload(data);
      const { id, stage, height } = payload.header;
      root.classList.toggle("on-stage", stage);
      root.style.setProperty("--frame-height", height ? `${height}px` : "");
      root.style.setProperty("--above", `${Math.max(0, root.getBoundingClientRect().top)}px`);
      if (saveDownload(payload)) controls.say("export", "Saved", 2500);
      if (id === header?.id) return address.write(settings, header.defaults);
      takeOver(payload).catch((error) => {
        setText(find(".readout"), `The photo could not be drawn: ${error.message}`);
      });
    },
    destroy() {
      address.flush();
      arrival += 1;
      cancelAnimationFrame(scheduled);
      watcher.disconnect();
      window.removeEventListener("resize", invalidate);
      window.removeEventListener("pagehide", address.flush);
      stopKeys();
      picture.destroy();
      strip.destroy();
      controls.destroy();
      photo?.close();
      photo = null;
    },
  };
}

// Safari has no requestIdleCallback.
const whenIdle = window.requestIdleCallback ?? ((work) => setTimeout(work, 50));

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function rampOf(table) {
  const stops = Array.from({ length: 17 }, (_, k) => {
    const at = 3 * Math.round((255 * k) / 16);
    return `rgb(${table[at]} ${table[at + 1]} ${table[at + 2]})`;
  });
  return `linear-gradient(90deg, ${stops.join(", ")})`;
}

const viewers = new WeakMap();

export default function mount(component) {
  const root = component.parentElement.querySelector(".viewer");
  let viewer = viewers.get(root);
  if (!viewer) viewers.set(root, (viewer = createViewer(root)));
  const turn = ++viewer.turn;
  viewer.show(component);
  return () => {
    // Streamlit also cleans up after calls that a newer one has overtaken.
    if (turn !== viewer.turn) return;
    viewer.destroy();
    viewers.delete(root);
  };
}

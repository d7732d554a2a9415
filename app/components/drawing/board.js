// A picture with maps over it, and what belongs around one: the strip of tokens, the controls, the
// legend, the keys. Holds what the user has chosen; whoever builds a board says what is looked at.
//
// Drawing happens at most once per animation frame, unless somebody wants it at once.

import { copyText, createControls } from "./controls.js";
import { listenToKeys } from "./keyboard.js";
import { hexToRgb, isWhole, pieOf } from "./paint.js";
import { createPicture } from "./picture.js";
import {
  createAddressBar,
  soloToken,
  toggleToken,
  withKnownTokens,
  withSomeToken,
} from "./settings.js";
import { ALL, createStrip } from "./strip.js";
import {
  describeCell,
  describePicture,
  describeScale,
  formatValue,
  nameOf,
  summarise,
} from "./words.js";

// What the user last chose. It outlives a board while pages without one are looked at; every widget
// is a module of its own, so it is the window's.
const MEMORY = "tokenLearnerView";
const BOX_MEMORY = "tokenLearnerShowsBox";
const NOTHING_YET = -1; // no frame of a clip has come; of a photo none ever does

// `what` names what is looked at. `save(settings)` and `obey(intent)` get what only the outside can
// do, `ownIntentOf(event)` may claim keys, `linkExtras()` has what the outside adds to the link, and
// `drawn(view, colours)` follows every drawing.
export function createBoard(
  root,
  { what, save, obey, ownIntentOf, linkExtras = () => ({}), drawn = () => {} },
) {
  const find = (selector) => root.querySelector(selector);
  const address = createAddressBar(() => ({ ...linkExtras(), box: showBox ? "" : "0" }));
  let header = null;
  let reel = null;
  let photo = null; // anything that a canvas can draw, with `width` and `height`
  let step = 0;
  let moment = NOTHING_YET; // tells one frame of a clip from the next
  let colormaps = {};
  let palette = null;
  let chosen = null; // settings; no token in them means the strongest of what is looked at
  let settings = null; // those on the screen: as chosen, and with a token
  let previewed = null; // token or ALL under the mouse
  let current = 0; // token or ALL that keys start from
  let cell = null; // grid cell under the pointer
  let showBox = (window[BOX_MEMORY] ??= new URLSearchParams(location.search).get("box") !== "0");
  let scheduled = 0;
  let draws = 0;
  let prepared = null; // the reel whose fields are computed ahead
  let reported = ""; // what the words around the picture are about
  let stripShows = "";

  const picture = createPicture(root, {
    point(found, isByKey) {
      cell = found;
      invalidate();
      if (!isByKey) return;
      setText(find(".status"), found === null ? "" : describeCell(found, shown(), reel.at(step)));
    },
  });
  const addUp = find(".add-up");
  const addsUp = () => addUp.getAttribute("aria-pressed") === "true";
  const onAddUp = () => addUp.setAttribute("aria-pressed", String(!addsUp()));
  addUp.addEventListener("click", onAddUp);
  const strip = createStrip(find(".strip"), {
    choose(token, combine) {
      pick(token, combine || addsUp());
      strip.focus(token);
    },
    preview(token) {
      if (previewed === token) return;
      previewed = token;
      invalidate();
    },
  });
  const controls = createControls(find(".controls"), {
    change: (partial) => apply({ ...chosen, ...partial }),
    toggleBox(shown) {
      window[BOX_MEMORY] = showBox = shown;
      apply(chosen);
    },
    act,
    announce: (text) => setText(find(".status"), text),
  });
  find(".controls").inert = true; // until there is something to draw
  const stopKeys = listenToKeys(root, {
    isStage: () => Boolean(header?.stage),
    ownIntentOf,
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
    cancelAnimationFrame(scheduled);
    scheduled = 0;
    const started = performance.now();
    const view = shown();
    const scene = reel.at(step);
    const { opacity, weak } = view;
    const colours = { opacity, weak, colormap: colormaps[view.colormap], palette };
    if (!picture.draw({ scene, photo, header, settings: view, colours, showBox, moment })) return;
    const ratio = window.devicePixelRatio || 1;
    const stripWants = JSON.stringify([
      header.id,
      step,
      moment === NOTHING_YET,
      settings,
      view.opacity,
      view.colormap,
      ratio,
    ]);
    if (stripWants !== stripShows || strip.isResized()) {
      const now = moment === NOTHING_YET ? NOTHING_YET : step;
      if (strip.draw(scene, photo, settings, colours, ratio, now)) stripShows = stripWants;
    }
    picture.markCell(cell);
    report(view, scene);
    drawn(view, colours);
    draws += 1;
    Object.assign(root.dataset, {
      drawMs: (performance.now() - started).toFixed(2),
      draws: String(draws),
      state: JSON.stringify(settings),
      preview: previewed === null ? "" : previewed === ALL ? ALL : String(previewed + 1),
      layout: JSON.stringify(picture.layout()),
      ready: "1",
    });
    if (prepared !== reel) prepareAhead((prepared = reel));
  }

  // While nothing else happens: what is not on the screen yet, so that the first look is as quick
  // as the second.
  function prepareAhead(target) {
    const views = [{ ...settings, mode: "composite" }];
    for (let token = 0; token < target.count; token++) views.push(soloToken(settings, token));
    const next = () => {
      const view = views.shift();
      if (!view || reel !== target || !photo) return;
      picture.prepareField(target.at(0), view);
      whenIdle(next);
    };
    whenIdle(next);
  }

  // Everything in words and numbers around the picture.
  function report(view, scene) {
    const about = JSON.stringify([header.id, step, view, cell, previewed]);
    if (about === reported) return;
    reported = about;
    setText(find(".readout"), cell === null ? summarise(view, scene) : describeCell(cell, view, scene));
    setText(find(".badge"), nameOf(view) + (previewed === null ? "" : " · preview"));
    const composite = view.mode === "composite";
    const colours = (composite ? scene.peaks.map((_, token) => token) : view.tokens).map(colourOf);
    find(".badge").style.setProperty("--token", pieOf(colours));
    picture.describe(describePicture(view, scene, what));

    const { low, high } = scene.describe(view).range;
    setText(find(".low"), composite ? "0 %" : formatValue(low));
    setText(find(".high"), composite ? "100 %" : formatValue(high));
    setText(find(".scale-label"), describeScale(view));
    const flat = view.weak === "fade" ? "" : "var(--text)"; // the composite's colours are the tokens'
    find(".ramp").style.background = composite ? flat : rampOf(colormaps[view.colormap], view.weak);
  }

  function choose(next) {
    window[MEMORY] = chosen = withKnownTokens(next, reel.count);
    settings = withSomeToken(chosen, reel.peaks);
  }

  // Takes over new settings, as the user's choice: they go into the link as well.
  function apply(next) {
    choose(next);
    if (!next.tokens.length && current !== ALL) current = settings.tokens[0];
    controls.show(settings, showBox);
    strip.mark(settings, current);
    address.write(chosen, header.defaults);
    invalidate();
  }

  function pick(token, combine) {
    current = token;
    previewed = null;
    if (token === ALL) apply({ ...chosen, mode: "composite" });
    else apply(combine ? toggleToken(settings, token) : soloToken(settings, token));
    setText(find(".status"), summarise(settings, reel.at(step)));
  }

  function onKey(intent) {
    if (!reel) return;
    if (intent.confirm) pick(current, intent.combine);
    else if (intent.walk) {
      const at = current === ALL ? reel.count : current;
      const to = Math.min(reel.count, Math.max(0, at + intent.walk));
      pick(to === reel.count ? ALL : to, false);
    } else if (intent.pick !== undefined) {
      if (intent.pick < reel.count) pick(intent.pick, intent.combine);
    } else return obey(intent);
    if (strip.hasFocus()) strip.focus(current);
  }

  async function act(action) {
    if (!reel) return;
    if (action === "reset") {
      current = 0;
      window[BOX_MEMORY] = showBox = true;
      apply(header.defaults);
    } else if (action === "link") {
      address.write(chosen, header.defaults);
      address.flush();
      const done = await copyText(window.location.href);
      const query = new URLSearchParams(window.location.search);
      const isComplete = query.has("sample") || query.has("clip"); // a file of one's own is neither
      const copied = isComplete ? "Copied" : "Copied, without your file";
      controls.say("link", done ? copied : "Copy it from the address bar", 2500);
    } else if (action === "export") {
      address.flush();
      controls.say("export", "Preparing…", 1000 * header.patienceS, true);
      save(settings);
    }
  }

  return {
    // Something else to look at; the user's choices stay.
    take(next) {
      ({ header, reel, photo, colormaps } = next);
      step = 0;
      moment = NOTHING_YET;
      palette = Uint8Array.from(
        [...reel.peaks.map((_, token) => colourOf(token)), header.severalColor].flatMap(hexToRgb),
      );
      choose(chosen ?? window[MEMORY] ?? header.settings);
      current = settings.mode === "composite" ? ALL : settings.tokens[0];
      previewed = null;
      cell = null;
      picture.forget();
      find(".controls").inert = false;
      controls.offer(colormaps, isWhole(header.box, header.source));
      controls.show(settings, showBox);
      strip.rebuild(reel, header, photo);
      strip.mark(settings, current);
      setText(find(".strip-title"), `${reel.count} learned tokens, each with its peak`);
      // The page may have rewritten the address: put the view back into it.
      address.write(chosen, header.defaults);
      invalidate();
    },
    // Another frame of a clip, drawn at once so that it stays in step with the picture.
    show(nextStep, nextMoment) {
      step = nextStep;
      moment = nextMoment;
      if (photo) draw();
    },
    // After a page that ran again has written it, or when something else in the link has changed.
    keepAddress: () => address.write(chosen, header.defaults),
    saySaved: () => controls.say("export", "Saved", 2500),
    sayFailure: (text) => setText(find(".readout"), text),
    invalidate,
    destroy() {
      address.flush();
      cancelAnimationFrame(scheduled);
      watcher.disconnect();
      window.removeEventListener("resize", invalidate);
      addUp.removeEventListener("click", onAddUp);
      window.removeEventListener("pagehide", address.flush);
      stopKeys();
      picture.destroy();
      strip.destroy();
      controls.destroy();
      photo = null;
    },
  };
}

// Safari has no requestIdleCallback.
const whenIdle = window.requestIdleCallback ?? ((work) => setTimeout(work, 50));

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// As the picture has it at full opacity.
function rampOf(table, weak) {
  const stops = Array.from({ length: 17 }, (_, k) => {
    const at = 3 * Math.round((255 * k) / 16);
    const alpha = weak === "fade" ? Math.sqrt(k / 16) : 1;
    return `rgb(${table[at]} ${table[at + 1]} ${table[at + 2]} / ${alpha})`;
  });
  return `linear-gradient(90deg, ${stops.join(", ")})`;
}

// Streamlit calls a component's default export again whenever the page runs, and cleans up after
// calls that a newer one has overtaken; the widget that `create(root)` makes lives on, and only its
// `show` is called again.
export function mountOnce(component, selector, create) {
  const root = component.parentElement.querySelector(selector);
  let widget = mounted.get(root);
  if (!widget) {
    // The height that the page leaves for a widget on stage.
    const place = () => {
      root.style.setProperty("--above", `${Math.max(0, root.getBoundingClientRect().top)}px`);
    };
    mounted.set(root, (widget = { turn: 0, place, ...create(root) }));
    window.addEventListener("resize", place);
  }
  const turn = ++widget.turn;
  widget.place();
  widget.show(component);
  return () => {
    if (turn !== widget.turn) return;
    window.removeEventListener("resize", widget.place);
    widget.destroy();
    mounted.delete(root);
  };
}

const mounted = new WeakMap();

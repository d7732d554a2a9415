// The large picture: photo, dimmed surroundings, overlay, and what lies under the pointer.

import { cellAt, cellPlace } from "./field.js";
import { boxOn, colourLayer, createCanvas, drawBase, drawBoxOutline, drawLayer, fit } from "./paint.js";

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const FIELD_SAMPLES = 480; // long side of the smooth field: finer than any map, cheap to colour

// `point(cell, isByKey)` tells which grid cell is pointed at, null for none.
export function createPicture(root, { point }) {
  const frameElement = root.querySelector(".frame");
  const canvas = root.querySelector(".picture");
  const marker = root.querySelector(".cell");
  const base = createCanvas(1, 1);
  const buffer = createCanvas(1, 1);
  let basedOn = ""; // what `base` was drawn for
  let frame = null; // where the photo lies on the canvas, in device pixels
  let box = null; // where on it the model looked
  let grid = null;
  let ratio = 1;
  let keyed = null; // the cell that arrows move, while the picture has the focus by the keyboard

  function prepare(photo, header, showBox, moment) {
    ratio = window.devicePixelRatio || 1;
    const width = Math.round(frameElement.clientWidth * ratio);
    const height = Math.round(frameElement.clientHeight * ratio);
    if (!width || !height) return false;
    const wanted = `${header.id} ${moment} ${width} ${height} ${showBox}`;
    if (wanted === basedOn) return true;
    basedOn = wanted;
    for (const target of [canvas, base]) {
      // Giving a canvas its size again empties it and takes time.
      if (target.width !== width || target.height !== height) Object.assign(target, { width, height });
    }
    frame = fit(photo, width, height);
    box = boxOn(frame, header.box, header.source);
    drawBase(base, photo, frame, box, showBox);
    return true;
  }

  function cellUnder(event) {
    if (!box) return null;
    const bounds = canvas.getBoundingClientRect();
    const x = ((event.clientX - bounds.left) / bounds.width) * canvas.width - box.x;
    const y = ((event.clientY - bounds.top) / bounds.height) * canvas.height - box.y;
    return cellAt(grid, { x: x / box.width, y: y / box.height });
  }

  const onMove = (event) => point(cellUnder(event));
  const onLeave = (event) => {
    // A finger that lifts has no other way to leave its answer on the screen.
    if (event.pointerType === "mouse") point(null);
  };
  // A click leaves the arrows to the tokens, and to the clip.
  const onFocus = () => {
    if (!grid || !canvas.matches(":focus-visible")) return;
    keyed = Math.floor(grid.height / 2) * grid.width + Math.floor(grid.width / 2);
    point(keyed, true);
  };
  const onBlur = () => {
    if (keyed !== null) point((keyed = null), true);
  };
  const onKey = (event) => {
    if (keyed === null || !(event.key in ARROWS) || event.altKey || event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    const [down, across] = ARROWS[event.key];
    const row = Math.min(grid.height - 1, Math.max(0, Math.floor(keyed / grid.width) + down));
    const column = Math.min(grid.width - 1, Math.max(0, (keyed % grid.width) + across));
    point((keyed = row * grid.width + column), true);
  };
  canvas.addEventListener("focus", onFocus);
  canvas.addEventListener("blur", onBlur);
  canvas.addEventListener("keydown", onKey);
  canvas.addEventListener("pointerdown", onMove);
  canvas.addEventListener("pointermove", onMove);
  canvas.addEventListener("pointerleave", onLeave);

  return {
    // Something else is looked at: until it is drawn, no cell of it lies anywhere.
    forget() {
      basedOn = "";
      box = grid = keyed = null;
    },
    // False while there is no room to draw in, as in a hidden tab. `moment` tells one frame of a clip
    // from the next.
    draw({ scene, photo, header, settings, colours, showBox, moment = 0 }) {
      if (!prepare(photo, header, showBox, moment)) return false;
      grid = scene;
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.drawImage(base, 0, 0);
      colourLayer(scene.layer(settings, box, FIELD_SAMPLES), colours, buffer);
      drawLayer(context, buffer, box, settings.interpolation);
      if (showBox) drawBoxOutline(context, box, frame, ratio);
      return true;
    },
    // Computes one field ahead of its use; `scene` remembers it.
    prepareField(scene, settings) {
      if (box) scene.layer(settings, box, FIELD_SAMPLES);
    },
    markCell(cell) {
      marker.hidden = cell === null || !box;
      if (marker.hidden) return;
      const { left, top, right, bottom } = cellPlace(grid, cell);
      const x = (box.x + left * box.width) / ratio;
      const y = (box.y + top * box.height) / ratio;
      Object.assign(marker.style, {
        transform: `translate(${x}px, ${y}px)`,
        width: `${((right - left) * box.width) / ratio}px`,
        height: `${((bottom - top) * box.height) / ratio}px`,
      });
    },
    describe(text) {
      canvas.setAttribute("aria-label", text);
    },
    // Where photo and box lie, in CSS pixels, for tests and tools.
    layout: () => ({
      photo: [frame.x, frame.y, frame.width, frame.height].map((v) => v / ratio),
      box: [box.x, box.y, box.width, box.height].map((v) => v / ratio),
    }),
    destroy() {
      canvas.removeEventListener("focus", onFocus);
      canvas.removeEventListener("blur", onBlur);
      canvas.removeEventListener("keydown", onKey);
      canvas.removeEventListener("pointerdown", onMove);
      canvas.removeEventListener("pointermove", onMove);
      canvas.removeEventListener("pointerleave", onLeave);
    },
  };
}

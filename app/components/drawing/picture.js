// The large picture: photo, dimmed surroundings, overlay, and what lies under the pointer.

import { cellAt, cellPlace } from "./field.js";
import { boxOn, colourLayer, createCanvas, drawBase, drawBoxOutline, drawLayer, fit } from "./paint.js";

const FIELD_SAMPLES = 480; // long side of the smooth field: finer than any map, cheap to colour

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
  canvas.addEventListener("pointerdown", onMove);
  canvas.addEventListener("pointermove", onMove);
  canvas.addEventListener("pointerleave", onLeave);

  return {
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
      canvas.removeEventListener("pointerdown", onMove);
      canvas.removeEventListener("pointermove", onMove);
      canvas.removeEventListener("pointerleave", onLeave);
    },
  };
}

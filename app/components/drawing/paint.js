// From layers to pixels. Values are turned into colours before any scaling by the browser, at a
// resolution near the final one, so that scaling never invents colours that the scale lacks.

export function hexToRgb(hex) {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

// Black or white, whichever reads better on the colour (WCAG 2 contrast).
export function inkOn(hex) {
  const [red, green, blue] = hexToRgb(hex).map((channel) => {
    const c = channel / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return (luminance + 0.05) ** 2 < 1.05 * 0.05 ? "#fff" : "#000";
}

// A disc in several colours, as a CSS background.
export function pieOf(colours) {
  const step = 100 / colours.length;
  const slices = colours.map((colour, k) => `${colour} ${k * step}% ${(k + 1) * step}%`);
  return `conic-gradient(${slices.join(", ")})`;
}

export function createCanvas(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width));
  canvas.height = Math.max(1, Math.round(height));
  return canvas;
}

// Colours one layer into `target` (reused from frame to frame) and returns it. The rules are those
// of tokenlearner/rendering/overlay.py.
export function colourLayer(layer, { opacity, weak, colormap, palette }, target) {
  const { rows, columns, level, fading, area, winner } = layer;
  if (target.width !== columns || target.height !== rows) {
    target.width = columns;
    target.height = rows;
  }
  const context = target.getContext("2d");
  const image = context.createImageData(columns, rows);
  const out = image.data;
  const table = winner ? palette : colormap;
  const fades = weak === "fade";
  for (let i = 0, o = 0; i < level.length; i++, o += 4) {
    let alpha = area ? opacity * area[i] : opacity;
    if (fades) alpha *= fading[i];
    const from = 3 * (winner ? winner[i] : (level[i] * 255 + 0.5) | 0);
    out[o] = table[from];
    out[o + 1] = table[from + 1];
    out[o + 2] = table[from + 2];
    out[o + 3] = alpha * 255; // clamped arrays round
  }
  context.putImageData(image, 0, 0);
  return target;
}

// `source` (a coloured layer) onto the rectangle of the photo that the model saw.
export function drawLayer(context, source, box, interpolation) {
  context.imageSmoothingEnabled = interpolation === "smooth";
  context.imageSmoothingQuality = "high";
  context.drawImage(source, box.x, box.y, box.width, box.height);
}

// The largest rectangle of the photo's shape inside width x height, centred, on whole pixels.
export function fit(photo, width, height) {
  const factor = Math.min(width / photo.width, height / photo.height);
  const size = { width: Math.round(photo.width * factor), height: Math.round(photo.height * factor) };
  return { x: Math.round((width - size.width) / 2), y: Math.round((height - size.height) / 2), ...size };
}

// Whether a box in source pixels (x0, y0, x1, y1) is all of the photo, but for rounding.
export function isWhole([x0, y0, x1, y1], [height, width]) {
  return x1 - x0 > width - 1 && y1 - y0 > height - 1;
}

// The same to a rectangle of the drawn photo.
export function boxOn(frame, [x0, y0, x1, y1], [sourceHeight, sourceWidth]) {
  const across = frame.width / sourceWidth;
  const down = frame.height / sourceHeight;
  return {
    x: frame.x + x0 * across,
    y: frame.y + y0 * down,
    width: (x1 - x0) * across,
    height: (y1 - y0) * down,
  };
}

// The photo at its final size; outside of the box it is dimmed if `showBox`.
export function drawBase(target, photo, frame, box, showBox) {
  const context = target.getContext("2d");
  context.clearRect(0, 0, target.width, target.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(photo, frame.x, frame.y, frame.width, frame.height);
  if (!showBox) return;
  const veil = new Path2D();
  veil.rect(frame.x, frame.y, frame.width, frame.height);
  veil.rect(box.x, box.y, box.width, box.height);
  context.fillStyle = "rgba(10, 12, 18, 0.62)";
  context.fill(veil, "evenodd");
}

// A thin line around what the model saw, light on dark so that it shows on any photo.
export function drawBoxOutline(context, box, frame, pixelRatio) {
  const whole = box.width > frame.width - 1 && box.height > frame.height - 1;
  if (whole) return;
  const line = Math.max(1, Math.round(pixelRatio));
  const [x, y] = [Math.round(box.x) + line / 2, Math.round(box.y) + line / 2];
  const [width, height] = [Math.round(box.width) - line, Math.round(box.height) - line];
  context.lineWidth = line;
  context.strokeStyle = "rgba(255, 255, 255, 0.85)";
  context.strokeRect(x, y, width, height);
}

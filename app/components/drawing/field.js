// Numbers only: from raw maps to the values and tokens that get painted. The rules are those of
// tokenlearner/rendering/overlay.py; saved pictures must show what the screen shows.

export function combineTokens(maps, tokens) {
  const sum = Float64Array.from(maps[tokens[0]]);
  for (const token of tokens.slice(1)) {
    const map = maps[token];
    for (let i = 0; i < sum.length; i++) sum[i] += map[i];
  }
  return sum;
}

export function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  let peak = 0;
  for (let i = 0; i < values.length; i++) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) {
      high = values[i];
      peak = i;
    }
  }
  return { low, high, peak };
}

export function normalise(values, { low, high }) {
  const span = high - low || 1;
  return Float32Array.from(values, (value) => Math.min(1, Math.max(0, (value - low) / span)));
}

// 1 on the fewest cells that together hold `mass` of the total, 0 elsewhere.
export function smallestArea(values, mass) {
  const inside = new Float32Array(values.length).fill(1);
  if (mass >= 1) return inside;
  const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
  const total = order.reduce((sum, cell) => sum + values[cell], 0);
  if (!(total > 0)) return inside;
  let held = 0;
  for (const cell of order) {
    // The tolerance keeps rounding in the sum from asking for one cell too many.
    if (held >= mass * total * (1 - 1e-9)) inside[cell] = 0;
    held += values[cell];
  }
  return inside;
}

// Whether the cells divide the box evenly, as patches do; those of strided convolutions do not.
export const isEven = ({ height, width, spans: [down, across] }) =>
  down[0] === 0 && down[1] === height && across[0] === 0 && across[1] === width;

// The cell under a place in the box, 0 to 1 from its top left corner; null outside.
export function cellAt({ height, width, spans: [down, across] }, { x, y }) {
  if (!(x >= 0 && x < 1 && y >= 0 && y < 1)) return null;
  const row = Math.min(height - 1, Math.floor(along(down, y)));
  return row * width + Math.min(width - 1, Math.floor(along(across, x)));
}

// Where a cell lies in the box, 0 to 1. The outermost cells reach to its edges.
export function cellPlace({ height, width, spans: [down, across] }, cell) {
  const [left, right] = ends(cell % width, width, across);
  const [top, bottom] = ends(Math.floor(cell / width), height, down);
  return { left, top, right, bottom };
}

const along = ([begin, end], share) => begin + share * (end - begin);

function ends(cell, cells, [begin, end]) {
  const share = (edge) => (edge - begin) / (end - begin);
  return [cell === 0 ? 0 : share(cell), cell === cells - 1 ? 1 : share(cell + 1)];
}

// Every sample takes the cell that it lies in.
function nearestTaps(length, cells, span) {
  const index = new Int32Array(length * 4);
  const weight = new Float32Array(length * 4);
  for (let i = 0; i < length; i++) {
    index[4 * i] = Math.min(cells - 1, Math.floor(along(span, (i + 0.5) / length)));
    weight[4 * i] = 1;
  }
  return { index, weight };
}

// Catmull-Rom's cubic, aligned by centres, the outermost cell going on at the edge.
function cubicTaps(length, cells, span) {
  const a = -0.5;
  const index = new Int32Array(length * 4);
  const weight = new Float32Array(length * 4);
  for (let i = 0; i < length; i++) {
    const position = along(span, (i + 0.5) / length) - 0.5;
    const base = Math.floor(position);
    for (let tap = 0; tap < 4; tap++) {
      const cell = base + tap - 1;
      const x = Math.abs(position - cell);
      index[4 * i + tap] = Math.min(cells - 1, Math.max(0, cell));
      weight[4 * i + tap] =
        x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    }
  }
  return { index, weight };
}

// Grid values to `columns` x `rows` samples of the box, never beyond the lowest and highest cell.
export function resample(values, grid, { rows, columns }, interpolation) {
  const { height, width, spans } = grid;
  if (rows === height && columns === width && isEven(grid)) return values;
  const { low, high } = extent(values);
  const taps = interpolation === "patch" ? nearestTaps : cubicTaps;
  const across = taps(columns, width, spans[1]);
  const down = taps(rows, height, spans[0]);
  const wide = new Float32Array(height * columns);
  for (let y = 0; y < height; y++) {
    for (let x = 0, t = 0; x < columns; x++, t += 4) {
      let sum = 0;
      for (let k = t; k < t + 4; k++) sum += values[y * width + across.index[k]] * across.weight[k];
      wide[y * columns + x] = sum;
    }
  }
  const out = new Float32Array(rows * columns);
  for (let y = 0; y < rows; y++) {
    const [r0, r1, r2, r3] = Array.from(down.index.subarray(4 * y, 4 * y + 4), (r) => r * columns);
    const [w0, w1, w2, w3] = down.weight.subarray(4 * y, 4 * y + 4);
    for (let x = 0, at = y * columns; x < columns; x++, at++) {
      const sum = wide[r0 + x] * w0 + wide[r1 + x] * w1 + wide[r2 + x] * w2 + wide[r3 + x] * w3;
      out[at] = sum < low ? low : sum > high ? high : sum;
    }
  }
  return out;
}

// Levels closer than this count as equal, or rounding would decide between saturated maps; the same
// as in tokenlearner/attention/places.py.
const TIE = 1e-5;

// All levels (their numbers) that are strongest at a sample.
export function strongestAt(levels, i) {
  const highest = Math.max(...levels.map((level) => level[i]));
  return [...levels.keys()].filter((k) => levels[k][i] >= highest - TIE);
}

// For every sample how strong the strongest level is, and which it is: the number of levels where
// several are.
export function strongest(levels) {
  const strength = levels[0].slice();
  for (const level of levels) {
    for (let i = 0; i < strength.length; i++) strength[i] = Math.max(strength[i], level[i]);
  }
  const winner = new Int16Array(strength.length);
  const seen = new Uint16Array(strength.length);
  for (let k = 0; k < levels.length; k++) {
    for (let i = 0; i < strength.length; i++) {
      if (levels[k][i] >= strength[i] - TIE) winner[i] = seen[i]++ ? levels.length : k;
    }
  }
  return { strength, winner };
}

// Maps, ready to be asked for layers: what to paint for given settings, at a given size. Everything
// that does not depend on opacity and colours is computed once and remembered.

import { combineTokens, extent, isEven, normalise, resample, smallestArea, strongest, strongestAt } from "./field.js";

const REMEMBERED_SAMPLES = 16e6; // about 64 MB

const samplesIn = (value) => value.length ?? value.strength?.length ?? 1;

// The most recent results of expensive questions, as many as the samples in them allow.
function createMemory() {
  const values = new Map();
  let held = 0;
  return function remember(key, compute) {
    let value = values.get(key);
    if (value === undefined) held += samplesIn((value = compute()));
    values.delete(key);
    values.set(key, value);
    while (held > REMEMBERED_SAMPLES && values.size > 1) {
      const [oldest, old] = values.entries().next().value;
      values.delete(oldest);
      held -= samplesIn(old);
    }
    return value;
  };
}

// Time steps that share their scales, so that brightness means the same in all of them. A photo has
// one step.
export function createReel({ steps, ...grid }) {
  const remember = createMemory();
  const count = steps[0].length;
  const peaks = steps[0].map((_, token) =>
    Math.max(...steps.map((maps) => extent(maps[token]).high)),
  );

  function rangeOf({ tokens, scale }) {
    return remember(`range ${tokens} ${scale}`, () => {
      const shown = steps.map((maps) => extent(combineTokens(maps, tokens)));
      const high = Math.max(...shown.map((step) => step.high));
      if (scale === "token") return { low: Math.min(...shown.map((step) => step.low)), high };
      return { low: 0, high: Math.max(high, ...peaks) };
    });
  }

  const scenes = steps.map((maps, step) =>
    createScene(maps, grid, { peaks, rangeOf }, (key, compute) =>
      remember(`${step} ${key}`, compute),
    ),
  );
  const wins = peaks.map(
    (_, token) => scenes.reduce((sum, scene) => sum + scene.wins[token], 0) / scenes.length,
  );
  return { ...grid, count, peaks, wins, length: steps.length, at: (step) => scenes[step] };
}

function createScene(maps, grid, scale, remember) {
  const { height, width } = grid;
  const ownScale = maps.map((map, k) => normalise(map, { low: 0, high: scale.peaks[k] }));
  const cells = strongest(ownScale);

  const shownMap = (settings) =>
    settings.mode === "composite" ? cells.strength : combineTokens(maps, settings.tokens);

  function describe(settings) {
    const values = shownMap(settings);
    const range = settings.mode === "composite" ? { low: 0, high: 1 } : scale.rangeOf(settings);
    return { values, range, ...extent(values) };
  }

  function samplesFor(settings, box, longSide) {
    if (settings.interpolation === "patch" && isEven(grid)) return { rows: height, columns: width };
    const factor = longSide / Math.max(box.width, box.height);
    return {
      rows: Math.max(height, Math.round(box.height * factor)),
      columns: Math.max(width, Math.round(box.width * factor)),
    };
  }

  // {rows, columns, level (0..1), fading (0..1, of the opacity where weak values fade), area (0..1 or
  // null for everywhere), winner (composite only)}
  function layer(settings, box, longSide) {
    const size = samplesFor(settings, box, longSide);
    const at = `${size.rows}x${size.columns} ${settings.interpolation}`;
    const sampled = (values) => resample(values, grid, size, settings.interpolation);
    const composite = settings.mode === "composite";
    const what = composite ? "all" : settings.tokens.join();
    const area =
      settings.mass >= 1
        ? null
        : remember(`area ${at} ${what} ${settings.mass}`, () =>
            sampled(smallestArea(shownMap(settings), settings.mass)),
          );
    if (composite) {
      const { strength, winner } = remember(`composite ${at}`, () =>
        strongest(ownScale.map(sampled)),
      );
      return { ...size, level: strength, fading: strength, area, winner };
    }
    const level = remember(`level ${at} ${what} ${settings.scale}`, () => {
      const { values, range } = describe(settings);
      return sampled(normalise(values, range));
    });
    // A composite is strong nearly everywhere, a single map nearly nowhere.
    const fading = remember(`fading ${at} ${what} ${settings.scale}`, () => level.map(Math.sqrt));
    return { ...size, level, fading, area, winner: null };
  }

  const wins = maps.map((_, token) => cells.winner.reduce((n, w) => n + (w === token), 0));
  return {
    ...grid,
    count: maps.length,
    peaks: scale.peaks,
    describe,
    layer,
    winnersAt: (cell) => strongestAt(ownScale, cell),
    hasTies: cells.winner.includes(maps.length),
    wins: wins.map((count) => count / (height * width)),
  };
}

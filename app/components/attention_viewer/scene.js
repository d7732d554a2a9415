// One explanation, ready to be asked for layers: what to paint for given settings, at a given size.
// Everything that does not depend on opacity and colours is computed once and remembered.

import { combineTokens, extent, normalise, resample, smallestArea, strongest, valueRange } from "./field.js";

const REMEMBERED_FIELDS = 64;

export function createScene({ maps, height, width }) {
  const grid = { height, width };
  const fields = new Map();
  const ownScale = maps.map((map) => normalise(map, { low: 0, high: extent(map).high }));
  const cells = strongest(ownScale);

  function remember(key, compute) {
    let value = fields.get(key);
    if (value === undefined) value = compute();
    fields.delete(key);
    fields.set(key, value);
    if (fields.size > REMEMBERED_FIELDS) fields.delete(fields.keys().next().value);
    return value;
  }

  const shownMap = (settings) =>
    settings.mode === "composite" ? cells.strength : combineTokens(maps, settings.tokens);

  function describe(settings) {
    const values = shownMap(settings);
    const range =
      settings.mode === "composite" ? { low: 0, high: 1 } : valueRange(maps, values, settings.scale);
    return { values, range, ...extent(values) };
  }

  function samplesFor(settings, box, longSide) {
    if (settings.interpolation === "patch") return { rows: height, columns: width };
    const factor = longSide / Math.max(box.width, box.height);
    return {
      rows: Math.max(height, Math.round(box.height * factor)),
      columns: Math.max(width, Math.round(box.width * factor)),
    };
  }

  // {rows, columns, level (0..1), area (0..1 or null for everywhere), winner (composite only)}
  function layer(settings, box, longSide) {
    const size = samplesFor(settings, box, longSide);
    const at = `${size.rows}x${size.columns}`;
    const composite = settings.mode === "composite";
    const what = composite ? "all" : settings.tokens.join();
    const area =
      settings.mass >= 1
        ? null
        : remember(`area ${at} ${what} ${settings.mass}`, () =>
            resample(smallestArea(shownMap(settings), settings.mass), grid, size),
          );
    if (composite) {
      const { strength, winner } = remember(`composite ${at}`, () =>
        strongest(ownScale.map((level) => resample(level, grid, size))),
      );
      return { ...size, level: strength, area, winner };
    }
    const level = remember(`level ${at} ${what} ${settings.scale}`, () => {
      const { values, range } = describe(settings);
      return resample(normalise(values, range), grid, size);
    });
    return { ...size, level, area, winner: null };
  }

  const wins = maps.map((_, token) => cells.winner.reduce((n, w) => n + (w === token), 0));
  return {
    ...grid,
    count: maps.length,
    describe,
    layer,
    winnerAt: (cell) => cells.winner[cell],
    peaks: maps.map((map) => extent(map).high),
    wins: wins.map((count) => count / (height * width)),
  };
}

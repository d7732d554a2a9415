// Everything the viewer says of what it shows. People count tokens, rows and columns from 1.

// Three significant digits, as format_value in tokenlearner/rendering/numbers.py writes them.
export function formatValue(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 999.5) return String(Math.round(value));
  return size < 1e-4 ? value.toExponential(2) : value.toPrecision(3);
}

export const formatPercent = (ratio) => `${Math.round(100 * ratio)} %`;

export function nameOf(settings) {
  if (settings.mode === "composite") return "All tokens";
  const numbers = settings.tokens.map((token) => token + 1);
  if (numbers.length === 1) return `Token ${numbers[0]}`;
  return `Tokens ${numbers.slice(0, -1).join(", ")} + ${numbers.at(-1)}`;
}

function placeOf(cell, { height, width }) {
  const third = (index, count, names) => names[Math.min(2, Math.floor((3 * (index + 0.5)) / count))];
  const down = third(Math.floor(cell / width), height, ["top", "", "bottom"]);
  const across = third(cell % width, width, ["left", "", "right"]);
  if (!down && !across) return "at the centre";
  return down && across ? `at the ${down} ${across}` : `at the ${down || across}`;
}

function listTokens(tokens) {
  const [first, second] = tokens;
  if (tokens.length === 1) return `token ${first + 1}`;
  return tokens.length === 2 ? `tokens ${first + 1} and ${second + 1}` : `${tokens.length} tokens alike`;
}

function cellName(cell, { width }) {
  return `row ${Math.floor(cell / width) + 1}, column ${(cell % width) + 1}`;
}

export function summarise(settings, scene) {
  if (settings.mode === "composite") {
    return `Colour: the strongest token${scene.hasTies ? "; grey: several alike" : ""}`;
  }
  const { peak, high } = scene.describe(settings);
  const verb = settings.tokens.length > 1 ? "peak" : "peaks";
  const spot = `${cellName(peak, scene)}: ${formatValue(high)}`;
  return `${nameOf(settings)} ${verb} ${placeOf(peak, scene)} (${spot})`;
}

export function describePicture(settings, scene, what = "photo") {
  const size = `on a grid of ${scene.height} by ${scene.width} patches`;
  if (settings.mode === "composite") {
    return `The ${what}, with every patch in the colour of the token that is strongest there, ${size}.`;
  }
  return `The ${what}, with what the model attends to drawn over it, ${size}. ${summarise(settings, scene)}.`;
}

export function describeCell(cell, settings, scene) {
  const value = scene.describe(settings).values[cell];
  const place = cellName(cell, scene);
  const where = place[0].toUpperCase() + place.slice(1);
  const winners = listTokens(scene.winnersAt(cell));
  if (settings.mode === "composite") return `${where}, strongest: ${winners}, ${formatPercent(value)}`;
  return `${where}: ${formatValue(value)}, strongest: ${winners}`;
}

export function describeScale(settings) {
  if (settings.mode === "composite") {
    return settings.weak === "fade" ? "share of each token’s own peak" : "every value alike";
  }
  if (settings.scale === "shared") return "one scale for all tokens";
  return settings.tokens.length > 1 ? "scale of this sum alone" : "scale of this token alone";
}

export function describeTile(token, scene) {
  const peak = `peak ${formatValue(scene.peaks[token])}`;
  return `Token ${token + 1}: ${peak}, strongest of all in ${formatPercent(scene.wins[token])} of the patches`;
}

export function describeMass(mass) {
  return mass >= 1 ? "everything" : `${formatPercent(mass)} of the attention`;
}

// The view's settings, by the names of ViewSettings, and their place in the address bar.

// `settings_from_query` in settings.py reads what this writes. People count tokens from 1.
const WRITERS = {
  token: (settings) => settings.tokens.map((token) => token + 1).join(","),
  mode: (settings) => settings.mode,
  opacity: (settings) => String(Number(settings.opacity.toFixed(2))),
  cmap: (settings) => settings.colormap,
  interp: (settings) => settings.interpolation,
  scale: (settings) => settings.scale,
  mass: (settings) => String(Number(settings.mass.toFixed(2))),
  weak: (settings) => settings.weak,
};

// Without tokens that another model has and this one lacks.
export function withKnownTokens(settings, count) {
  return { ...settings, tokens: settings.tokens.filter((token) => token >= 0 && token < count) };
}

// No token chosen means the strongest one, the first of equals.
export function withSomeToken(settings, peaks) {
  if (settings.tokens.length) return settings;
  return { ...settings, tokens: [peaks.indexOf(Math.max(...peaks))] };
}

export function toggleToken(settings, token) {
  if (settings.mode === "composite") return soloToken(settings, token);
  const others = settings.tokens.filter((other) => other !== token);
  if (others.length === settings.tokens.length) others.push(token);
  others.sort((a, b) => a - b);
  return others.length ? { ...settings, tokens: others } : settings;
}

export function soloToken(settings, token) {
  return { ...settings, mode: "token", tokens: [token] };
}

// Keeps the link to this view current without a trip to the server, at most every `delayMs`
// (browsers refuse more than a few hundred changes in half a minute). Other parameters stay as they
// are, defaults are left out. `extras()` has what else belongs into the link, by parameter; an empty
// text is left out.
export function createAddressBar(extras, delayMs = 150) {
  let timer = 0;
  let pending = null;

  function flush() {
    clearTimeout(timer);
    timer = 0;
    if (!pending) return;
    const [settings, defaults] = pending;
    pending = null;
    const url = new URL(window.location.href);
    const put = (key, text) => (text ? url.searchParams.set(key, text) : url.searchParams.delete(key));
    for (const [key, write] of Object.entries(WRITERS)) {
      const text = write(settings);
      put(key, text === write(defaults) ? "" : text);
    }
    for (const [key, text] of Object.entries(extras())) put(key, text);
    // A comma is legal in a query; spelled out it reads better in a link.
    const link = url.href.replaceAll("%2C", ",");
    if (link !== window.location.href) history.replaceState(history.state, "", link);
  }

  return {
    write(settings, defaults) {
      pending = [settings, defaults];
      timer ||= setTimeout(flush, delayMs);
    },
    flush,
  };
}

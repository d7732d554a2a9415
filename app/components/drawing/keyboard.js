// Keys that pick tokens: arrows, Home and End walk the strip, digits jump (0 is the tenth token).

const INPUTS = "input, select, textarea, [contenteditable], [role=slider], [role=combobox]";
// They have a use for arrows, but none for digits.
const DIGITLESS = "[type=radio], [type=checkbox], [type=range], [role=slider]";

function digitOf(event) {
  const match = /^(?:Digit|Numpad)(\d)$/.exec(event.code);
  if (!match) return null;
  // Without NumLock the number pad has arrows and the like.
  if (event.code.startsWith("Numpad") && !/^\d$/.test(event.key)) return null;
  return match[1] === "0" ? 9 : Number(match[1]) - 1;
}

// `stage`: up and down go to another sample instead of another token.
function intentOf(event, stage) {
  const digit = digitOf(event);
  if (digit !== null) return { pick: digit, combine: event.shiftKey };
  switch (event.key) {
    case "ArrowLeft":
      return { walk: -1 };
    case "ArrowRight":
      return { walk: 1 };
    case "ArrowUp":
      return stage ? { step: -1 } : { walk: -1, onlyInside: true };
    case "ArrowDown":
      return stage ? { step: 1 } : { walk: 1, onlyInside: true };
    case "PageUp": // as the remote controls of presenters send them
      return stage ? { step: -1 } : null;
    case "PageDown":
      return stage ? { step: 1 } : null;
    case "Home":
      return { walk: -Infinity, onlyInside: true };
    case "End":
      return { walk: Infinity, onlyInside: true };
    case " ":
    case "Enter":
      return { confirm: true, combine: event.key === " ", onlyInside: true };
    default:
      return null;
  }
}

// Listens on the whole page, so that keys work before anything was clicked, but gives way to
// whatever else has the focus and may want the key. `act(intent)` is called for what remains;
// `ownIntentOf(event)` comes before the keys of this file.
export function listenToKeys(root, { isStage, act, ownIntentOf = () => null }) {
  const onKey = (event) => {
    if (event.altKey || event.metaKey || event.ctrlKey || event.defaultPrevented) return;
    const target = event.composedPath()[0];
    const isDigit = digitOf(event) !== null;
    const wanted = target.matches?.(INPUTS) && !(isDigit && target.matches(DIGITLESS));
    if (wanted && !target.matches("[data-keys]")) return;
    const inside = root.contains(target);
    if (!inside && document.querySelector("[role=dialog]")) return;
    // On the page itself, or on what scrolls it. Nothing but an input wants digits, and the button
    // of the photo or clip that was just chosen has no use for Space either.
    const isChosen = event.key === " " && target.matches?.('[role=radio][aria-checked="true"]');
    const free = isDigit || isChosen || target.contains?.(root.getRootNode().host ?? root);
    if (!inside && !free && !isStage()) return;
    const intent = ownIntentOf(event) ?? intentOf(event, isStage());
    if (!intent || (intent.onlyInside && !target.closest?.(".strip"))) return;
    if (!inside && !isShown(root)) return;
    event.preventDefault();
    act(intent);
  };
  document.addEventListener("keydown", onKey);
  return () => document.removeEventListener("keydown", onKey);
}

function isShown(root) {
  const { top, bottom, width } = root.getBoundingClientRect();
  return width > 0 && bottom > 0 && top < window.innerHeight;
}

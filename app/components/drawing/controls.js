// The form beside the picture. It holds no state: it shows settings and reports changes.

import { describeMass, formatPercent } from "./words.js";

const COLORMAP_NAMES = {
  inferno: "Inferno",
  magma: "Magma",
  viridis: "Viridis",
  cividis: "Cividis",
  gray: "Grey",
};

const READERS = {
  opacity: (input) => ({ opacity: Number(input.value) / 100 }),
  mass: (input) => ({ mass: Number(input.value) / 100 }),
  colormap: (input) => ({ colormap: input.value }),
  interpolation: (input) => ({ interpolation: input.value }),
  scale: (input) => ({ scale: input.value }),
  weak: (input) => ({ weak: input.checked ? "fade" : "cover" }),
};

// `change(partial settings)`, `toggleBox(shown)`, `act("reset" | "link" | "export")`, and
// `announce(text)` for those who do not see what a button says.
export function createControls(form, { change, toggleBox, act, announce }) {
  const output = (name) => form.querySelector(`[data-for="${name}"]`);

  const onInput = (event) => {
    const input = event.target;
    if (input.name === "show_box") toggleBox(input.checked);
    else change(READERS[input.name](input));
  };
  const onClick = (event) => {
    const button = event.target.closest?.("[data-action]");
    if (button) act(button.dataset.action);
  };
  const onSubmit = (event) => event.preventDefault();
  form.addEventListener("input", onInput);
  form.addEventListener("click", onClick);
  form.addEventListener("submit", onSubmit);

  const notes = new Map();

  return {
    // Where the model saw the whole picture there is nothing to outline.
    offer(colormaps, seesWhole) {
      form.elements.show_box.closest("label").hidden = seesWhole;
      const options = Object.keys(colormaps).map(
        (name) => new Option(COLORMAP_NAMES[name] ?? name, name),
      );
      form.elements.colormap.replaceChildren(...options);
    },
    show(settings, showBox) {
      const { elements } = form;
      elements.show_box.checked = showBox;
      elements.opacity.value = String(Math.round(100 * settings.opacity));
      elements.mass.value = String(Math.round(100 * settings.mass));
      for (const slider of [elements.opacity, elements.mass]) {
        const done = (slider.value - slider.min) / (slider.max - slider.min);
        slider.style.setProperty("--done", formatPercent(done).replace(" ", ""));
      }
      elements.colormap.value = settings.colormap;
      elements.interpolation.value = settings.interpolation;
      elements.scale.value = settings.scale;
      elements.weak.checked = settings.weak === "fade";
      // Neither has a say in the composite, which has colours and a scale of its own.
      const composite = settings.mode === "composite";
      elements.colormap.disabled = composite;
      for (const radio of elements.scale) radio.disabled = composite;
      output("opacity").textContent = formatPercent(settings.opacity);
      output("mass").textContent = describeMass(settings.mass);
      elements.mass.setAttribute("aria-valuetext", describeMass(settings.mass));
    },
    // Says something in place of a button's label, for a while or until `null` is said.
    say(action, text, forMs = 0, isBusy = false) {
      const button = form.querySelector(`[data-action="${action}"]`);
      button.dataset.label ??= button.textContent;
      clearTimeout(notes.get(action));
      button.textContent = text ?? button.dataset.label;
      button.setAttribute("aria-busy", String(isBusy));
      announce(text ?? ""); // once it is empty, the same can be said again
      if (text !== null && forMs) {
        notes.set(action, setTimeout(() => this.say(action, null), forMs));
      }
    },
    destroy() {
      notes.forEach(clearTimeout);
      form.removeEventListener("input", onInput);
      form.removeEventListener("click", onClick);
      form.removeEventListener("submit", onSubmit);
    },
  };
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Plain http, other than on this very machine, has no clipboard: select and copy by hand.
    let focused = document.activeElement;
    while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus({ preventScroll: true });
    return done;
  }
}

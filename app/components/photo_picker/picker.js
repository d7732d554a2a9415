// A row of photos as a radio group: one stop for the Tab key, arrows move the choice.

function createPicker(root) {
  let choices = "";
  let buttons = [];
  let pick = () => {};

  function build(list) {
    const groups = new Map();
    for (const choice of list) {
      if (!groups.has(choice.group)) groups.set(choice.group, []);
      groups.get(choice.group).push(choice);
    }
    root.replaceChildren(...Array.from(groups, ([heading, members]) => section(heading, members)));
    buttons = [...root.querySelectorAll(".photo")];
  }

  function section(heading, members) {
    const group = document.createElement("div");
    group.className = "group";
    const title = document.createElement("div");
    title.className = "heading";
    title.textContent = heading;
    const row = document.createElement("div");
    row.className = "row";
    row.append(...members.map(photo));
    group.append(title, row);
    return group;
  }

  function photo({ id, title, thumbnail, label }) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "photo";
    button.dataset.id = id;
    button.setAttribute("role", "radio");
    button.setAttribute("aria-label", label ? `${title}: ${label}` : title);
    button.title = title;
    const picture = Object.assign(document.createElement("img"), { src: thumbnail, alt: "" });
    button.append(picture);
    if (label) {
      const mark = document.createElement("span");
      mark.className = "label";
      mark.textContent = label;
      button.append(mark);
    }
    return button;
  }

  function mark(selected) {
    const chosen = buttons.find((button) => button.dataset.id === selected);
    for (const button of buttons) {
      button.setAttribute("aria-checked", String(button === chosen));
      button.tabIndex = button === (chosen ?? buttons[0]) ? 0 : -1;
    }
    if (!chosen) return;
    // Not scrollIntoView: that would move the page as well.
    const { left, right } = chosen.getBoundingClientRect();
    const frame = root.getBoundingClientRect();
    if (left < frame.left) root.scrollLeft -= frame.left - left + 24;
    else if (right > frame.right) root.scrollLeft += right - frame.right + 24;
  }

  function choose(button) {
    mark(button.dataset.id); // at once; the page follows
    button.focus({ preventScroll: true });
    pick(button.dataset.id);
  }

  root.onclick = (event) => {
    const button = event.target.closest(".photo");
    if (button) choose(button);
  };
  root.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    const at = buttons.indexOf(event.target.closest(".photo"));
    if (!step || at < 0) return;
    event.preventDefault();
    choose(buttons[(at + step + buttons.length) % buttons.length]);
  };

  return function show({ data, setTriggerValue }) {
    pick = (id) => setTriggerValue("picked", id);
    root.setAttribute("aria-label", data.name);
    const wanted = JSON.stringify(data.choices);
    if (wanted !== choices) build(data.choices);
    choices = wanted;
    mark(data.selected);
  };
}

const pickers = new WeakMap();

export default function mount(component) {
  const root = component.parentElement.querySelector(".picker");
  if (!pickers.has(root)) pickers.set(root, createPicker(root));
  pickers.get(root)(component);
}

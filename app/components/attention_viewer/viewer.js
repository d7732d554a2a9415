// The attention viewer: a board with a photo on it.

import { createBoard, mountOnce, setText } from "../drawing/board.js";
import { readBitmap, readColormaps, readMaps, saveDownload, unpackPayload } from "../drawing/payload.js";
import { createReel } from "../drawing/scene.js";

function createViewer(root) {
  let header = null;
  let photo = null;
  let trigger = () => {};
  let arrival = 0; // counts payloads: a photo that decodes late must not replace a newer one

  const board = createBoard(root, {
    what: "photo",
    save: (settings) => trigger("export", settings),
    obey: ({ step }) => trigger("step", step),
  });
  setText(root.querySelector(".strip-hint"), "Shift-click or Space combines tokens; 1–9, ← and → select one");

  async function takeOver(payload) {
    const mine = ++arrival;
    const decoded = await readBitmap(payload, "photo");
    if (mine !== arrival) return decoded.close();
    photo?.close();
    photo = decoded;
    header = payload.header;
    const reel = createReel(readMaps(payload));
    board.take({ header, reel, photo, colormaps: readColormaps(header) });
  }

  return {
    show({ data, setTriggerValue }) {
      trigger = setTriggerValue;
      if (!data) return;
      const payload = unpackPayload(data);
      root.classList.toggle("on-stage", payload.header.stage);
      if (saveDownload(payload)) board.saySaved();
      if (payload.header.id === header?.id) {
        arrival += 1; // whatever is on its way is not wanted any more
        return board.keepAddress();
      }
      takeOver(payload).catch((error) => {
        board.sayFailure(`The photo could not be drawn: ${error.message}`);
      });
    },
    destroy() {
      arrival += 1;
      board.destroy();
      photo?.close();
    },
  };
}

export default function mount(component) {
  return mountOnce(component, ".viewer", createViewer);
}

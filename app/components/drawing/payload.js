// One buffer in: u32 header length, JSON header, then the blocks that the header points to.
// `pack_buffer` in buffer.py writes it.

export function unpackPayload(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + headerLength)));
  const body = 4 + headerLength;
  // slice() copies: the block then starts at an aligned address and outlives the message.
  const block = ({ offset, length }) => bytes.slice(body + offset, body + offset + length);
  return { header, block };
}

// The maps of every token, step by step. A photo has one step, and its shape does not say so.
// `spans` says where the box begins and ends, counted in cells: down, then across.
export function readMaps({ header, block }) {
  const [tokens, height, width] = header.shape.slice(-3);
  const values = new Float32Array(block(header.maps).buffer);
  const steps = split(split(values, height * width), tokens);
  return { steps, height, width, spans: header.spans };
}

function split(list, size) {
  return Array.from({ length: list.length / size }, (_, k) =>
    (list.subarray ?? list.slice).call(list, k * size, (k + 1) * size),
  );
}

export function readColormaps(header) {
  const decode = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return Object.fromEntries(
    Object.entries(header.colormaps).map(([name, text]) => [name, decode(text)]),
  );
}

export function readBitmap({ header, block }, name) {
  return createImageBitmap(new Blob([block(header[name])], { type: header[name].type }));
}

// Outlives a viewer, so that going to another page and back does not save a file again.
const saved = new Set();

export function saveDownload({ header, block }) {
  const download = header.download;
  if (!download || saved.has(download.id)) return false;
  saved.add(download.id);
  const url = URL.createObjectURL(new Blob([block(download)], { type: download.type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = download.filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return true;
}

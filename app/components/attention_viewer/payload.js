// One buffer in: u32 header length, JSON header, then the blocks that the header points to.
// `pack_payload` in payload.py writes it.

export function unpackPayload(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + headerLength)));
  const body = 4 + headerLength;
  // slice() copies: the block then starts at an aligned address and outlives the message.
  const block = ({ offset, length }) => bytes.slice(body + offset, body + offset + length);
  return { header, block };
}

export function readMaps({ header, block }) {
  const [tokens, height, width] = header.shape;
  const values = new Float32Array(block(header.maps).buffer);
  const cells = height * width;
  const maps = Array.from({ length: tokens }, (_, k) =>
    values.subarray(k * cells, (k + 1) * cells),
  );
  return { maps, height, width };
}

export function readColormaps(header) {
  const decode = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return Object.fromEntries(
    Object.entries(header.colormaps).map(([name, text]) => [name, decode(text)]),
  );
}

export function readPhoto({ header, block }) {
  return createImageBitmap(new Blob([block(header.photo)], { type: header.photo.type }));
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

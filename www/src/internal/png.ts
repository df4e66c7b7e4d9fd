/** Text in PNG files: the chunks tEXt, zTXt and iTXt (https://www.w3.org/TR/png-3/#11textinfo). */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Texts are short; what claims to be longer is no text. */
const MOST = 1 << 20;

/** A copy of a PNG with a text chunk before its pixels. */
export function withText(png: Uint8Array<ArrayBuffer>, keyword: string, text: string): Uint8Array<ArrayBuffer>[] {
  // The first chunk, IHDR, has 13 bytes of data.
  const cut = SIGNATURE.length + 4 + 4 + 13 + 4;
  // eslint-disable-next-line no-control-regex -- Latin-1 is what tEXt holds
  const latin = /^[\n\x20-\x7e\xa1-\xff]*$/.test(text);
  const bytes = latin ? Uint8Array.from(text, (c) => c.charCodeAt(0)) : new TextEncoder().encode(text);
  const head = Uint8Array.from(`${keyword}\0${latin ? "" : "\0\0\0\0"}`, (c) => c.charCodeAt(0));
  const data = new Uint8Array(head.length + bytes.length);
  data.set(head);
  data.set(bytes, head.length);
  return [png.subarray(0, cut), chunk(latin ? "tEXt" : "iTXt", data), png.subarray(cut)];
}

/** The text under a keyword; undefined if there is none, or this is no PNG. */
export async function readText(png: Uint8Array<ArrayBuffer>, keyword: string): Promise<string | undefined> {
  if (SIGNATURE.some((byte, i) => png[i] !== byte)) return undefined;
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  for (let at = SIGNATURE.length; at + 12 <= png.length;) {
    const length = view.getUint32(at);
    const type = latin1(png.subarray(at + 4, at + 8));
    const data = png.subarray(at + 8, at + 8 + length);
    if (data.length < length || type === "IEND") return undefined;
    at += 12 + length;
    const end = data.indexOf(0);
    if (!/^(?:tEXt|zTXt|iTXt)$/.test(type) || end < 0 || latin1(data.subarray(0, end)) !== keyword) continue;
    const rest = data.subarray(end + 1);
    if (type === "tEXt") return latin1(rest);
    if (type === "zTXt") return latin1(await inflate(rest.subarray(1)));
    // Whether it is compressed, how, a language, a translated keyword, the text.
    const language = rest.indexOf(0, 2);
    const text = rest.subarray(rest.indexOf(0, language + 1) + 1);
    return new TextDecoder().decode(rest[0] === 1 ? await inflate(text) : text);
  }
  return undefined;
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}

async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let total = 0; total < MOST;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value as Uint8Array<ArrayBuffer>);
    total += value.length;
  }
  await reader.cancel();
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function chunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(12 + data.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set(
    Uint8Array.from(type, (c) => c.charCodeAt(0)),
    4,
  );
  out.set(data, 8);
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)));
  return out;
}

/** The cyclic redundancy code of PNG's annex D. */
function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

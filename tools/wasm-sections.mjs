// Reads just enough of a .wasm file to say which crate its bytes come from, and to drop the sections that say so.

/** Sections of a module: `{ id, name (custom sections only), start, body, end }`, offsets into `bytes`. */
function sections(bytes) {
  const found = [];
  for (let at = 8; at < bytes.length; ) {
    const start = at;
    const id = bytes[at];
    const [size, body] = leb(bytes, at + 1);
    const end = body + size;
    let name;
    let content = body;
    if (id === 0) [name, content] = text(bytes, body);
    found.push({ id, name, start, body: content, end });
    at = end;
  }
  return found;
}

/** An unsigned LEB128 number and the offset after it. */
function leb(bytes, at) {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[at++];
    value += (byte & 127) * scale;
    if (byte < 128) return [value, at];
  }
}

/** A length-prefixed text and the offset after it. */
function text(bytes, at) {
  const [length, start] = leb(bytes, at);
  return [new TextDecoder().decode(bytes.subarray(start, start + length)), start + length];
}

/** The module without its custom sections: names, producers, target features. */
export function withoutCustomSections(bytes) {
  const kept = sections(bytes).filter(({ id }) => id !== 0);
  return Buffer.concat([bytes.subarray(0, 8), ...kept.map(({ start, end }) => bytes.subarray(start, end))]);
}

/**
 * Bytes of code per crate, largest first, read from a module that still has its name section: `[[crate, bytes], ...]`.
 * Generic code counts for the crate that wrote it, not for the one that asked for it; static tables are the row "(data)".
 */
export function bytesPerCrate(bytes) {
  const all = sections(bytes);
  const names = functionNames(bytes, all.find(({ name }) => name === "name"));
  const sum = new Map();
  const add = (crate, size) => sum.set(crate, (sum.get(crate) ?? 0) + size);

  const code = all.find(({ id }) => id === 10);
  let [count, at] = leb(bytes, code.body);
  for (let index = importedFunctions(bytes, all.find(({ id }) => id === 2)); count > 0; count--, index++) {
    const [size, body] = leb(bytes, at);
    add(crateOf(names.get(index)), body + size - at);
    at = body + size;
  }
  const data = all.find(({ id }) => id === 11);
  if (data) add("(data)", data.end - data.start);
  return [...sum].sort(([, a], [, b]) => b - a);
}

/** Function index -> name. */
function functionNames(bytes, section) {
  const names = new Map();
  for (let at = section?.body ?? 0; section && at < section.end; ) {
    const kind = bytes[at];
    const [size, body] = leb(bytes, at + 1);
    at = body + size;
    if (kind !== 1) continue;
    let [count, next] = leb(bytes, body);
    for (; count > 0; count--) {
      let index, name;
      [index, next] = leb(bytes, next);
      [name, next] = text(bytes, next);
      names.set(index, name);
    }
  }
  return names;
}

/** How many of the function indices belong to imports. */
function importedFunctions(bytes, section) {
  if (!section) return 0;
  let functions = 0;
  let [count, at] = leb(bytes, section.body);
  for (; count > 0; count--) {
    [, at] = text(bytes, at);
    [, at] = text(bytes, at);
    const kind = bytes[at++];
    if (kind === 0) {
      functions += 1;
      [, at] = leb(bytes, at); // type
    } else {
      if (kind === 1) at += 1; // a table's element type
      if (kind === 4) at += 1; // a tag's attribute
      if (kind === 3) at += 2; // a global's type and mutability
      if (kind === 4) [, at] = leb(bytes, at);
      if (kind === 1 || kind === 2) {
        const limited = bytes[at++] & 1;
        [, at] = leb(bytes, at);
        if (limited) [, at] = leb(bytes, at);
      }
    }
  }
  return functions;
}

/** The first crate that a demangled Rust path names: `<&wgpu::Limits as core::fmt::Debug>::fmt` is wgpu's. */
function crateOf(name) {
  return /([A-Za-z_][A-Za-z0-9_]*)(?:\[[0-9a-f]+\])?::/.exec(name ?? "")?.[1] ?? "(no crate)";
}

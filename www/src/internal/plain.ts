/** Half of a character, as it is left when a string is cut in the middle of one: UTF-8 can't say it. */
const LONE = /\p{Surrogate}/gu;

/**
 * A copy that survives `postMessage` and JSON: plain objects, arrays and values. Functions and undefined members are
 * left out, halves of characters are replaced, and the proxies in which frameworks wrap their state are read through.
 */
export function plain<T>(value: T): T {
  if (typeof value === "string") return value.replace(LONE, "\ufffd") as T;
  if (Array.isArray(value)) return Array.from(value, plain) as T;
  if (value === null || typeof value !== "object" || value instanceof Blob || ArrayBuffer.isView(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined && typeof member !== "function") copy[key] = plain(member);
  }
  return copy as T;
}

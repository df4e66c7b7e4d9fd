/**
 * A copy that survives `postMessage`: plain objects, arrays and values. Functions and undefined members are left out,
 * and the proxies in which frameworks wrap their state are read through.
 */
export function plain<T>(value: T): T {
  if (Array.isArray(value)) return Array.from(value, plain) as T;
  if (value === null || typeof value !== "object" || value instanceof Blob || ArrayBuffer.isView(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined && typeof member !== "function") copy[key] = plain(member);
  }
  return copy as T;
}

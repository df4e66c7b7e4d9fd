import { InkstoneError } from "../public/error.js";

/** Half of a character, as it is left when a string is cut in the middle of one: UTF-8 can't say it. */
const LONE = /\p{Surrogate}/gu;

/** Stands for -Infinity, which JSON can't say: as a bias of logits it bans a token all the same. */
const LEAST = -1e30;

/** Token ids as the worker takes them; throws `Unsupported` for what is no id. */
export function tokenIds(tokens: ArrayLike<number>): Uint32Array {
  const ids = Array.from(tokens ?? [Number.NaN]);
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id > 0xffffffff);
  if (wrong !== undefined || ids.some((id) => id === undefined)) {
    throw new InkstoneError("Unsupported", `${wrong} is no token: give a list of whole numbers from 0 on`);
  }
  return Uint32Array.from(ids);
}

/**
 * A copy that survives `postMessage` and JSON: plain objects, arrays and values. Functions and undefined members are
 * left out, halves of characters are replaced, and the proxies in which frameworks wrap their state are read through.
 * Throws `Unsupported` for what is no number, which JSON would turn into nothing; `key` names it.
 */
export function plain<T>(value: T, key = "a value"): T {
  if (value === Number.NEGATIVE_INFINITY) return LEAST as T;
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new InkstoneError("Unsupported", `${key} is ${value}: give a number`);
  }
  if (typeof value === "string") return value.replace(LONE, "\ufffd") as T;
  if (Array.isArray(value)) return Array.from(value, (member) => plain(member, key)) as T;
  if (value === null || typeof value !== "object" || value instanceof Blob || ArrayBuffer.isView(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined && typeof member !== "function") copy[key] = plain(member, key);
  }
  return copy as T;
}

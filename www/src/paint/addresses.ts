/** Addresses under which the browser shows kept pictures: one for each, for as long as the picture is there. */
import type { Picture } from "./easel.js";

const addresses = new Map<string, string>();

export function addressOf({ id, blob }: Picture): string {
  let address = addresses.get(id);
  if (!address) addresses.set(id, (address = URL.createObjectURL(blob)));
  return address;
}

/** Lets go of those that no picture in the list needs any more. */
export function release(pictures: Picture[]): void {
  const needed = new Set(pictures.map(({ id }) => id));
  for (const [id, address] of addresses) {
    if (needed.has(id)) continue;
    URL.revokeObjectURL(address);
    addresses.delete(id);
  }
}

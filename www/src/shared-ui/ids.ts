let counter = 0;

/** Ids only need to be unique in one browser; the counter separates ids made in the same millisecond. */
export function newId(): string {
  counter += 1;
  const random = crypto.getRandomValues(new Uint32Array(1))[0]!.toString(36);
  return `${Date.now().toString(36)}-${random}-${counter.toString(36)}`;
}

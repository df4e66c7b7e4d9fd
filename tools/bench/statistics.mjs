// Medians and spreads.

/** The median; of an even number of values the mean of the middle two. */
export function median(values) {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** `{ median, least, most, runs }` of the numbers among the values, or undefined where there is none. */
export function summary(values) {
  const numbers = values.filter((value) => Number.isFinite(value));
  if (numbers.length === 0) return undefined;
  return { median: median(numbers), least: Math.min(...numbers), most: Math.max(...numbers), runs: numbers.length };
}

/** The records of one system, one each round, as one: summaries of `values`, of counts and levels the medians. */
export function combine(records) {
  const names = [...new Set(records.flatMap((record) => Object.keys(record.values)))];
  const merged = { name: records[0].name, mode: records[0].mode, runs: records.length, values: {} };
  for (const name of names) merged.values[name] = summary(records.map((record) => record.values[name]));
  for (const name of ["peak", "loadPeak", "wasm", "host"]) {
    merged[name] = summary(records.map((record) => record[name]))?.median;
  }
  for (const group of ["perToken", "perStep", "download"]) {
    const known = records.map((record) => record[group]).filter(Boolean);
    if (known.length === 0) continue;
    merged[group] = Object.fromEntries(
      Object.keys(known[0]).map((name) => [name, median(known.map((counts) => counts[name]))]),
    );
  }
  // A phase that never came to its end, or what went wrong: `limits` says "over" so many seconds.
  merged.limits = Object.fromEntries(records.filter((r) => r.over).map((r) => [r.phase, r.over]));
  merged.errors = [...new Set(records.filter((r) => r.error).map((r) => `${r.phase}: ${r.error}`))];
  return merged;
}

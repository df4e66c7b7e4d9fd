/** Which vectors are nearest to one. */

/** Vectors one after the other, `dimensions` numbers each. */
export interface Vectors {
  dimensions: number;
  data: Float32Array;
}

/** The cosines of the angles between `query` and each vector; 0 for a vector of length 0. */
export function cosines(query: Float32Array, { dimensions, data }: Vectors): Float32Array {
  const scores = new Float32Array(Math.floor(data.length / Math.max(1, dimensions)));
  const own = Math.hypot(...query);
  for (let i = 0; i < scores.length; i++) {
    let [dot, square] = [0, 0];
    for (let j = 0; j < dimensions; j++) {
      const value = data[i * dimensions + j]!;
      dot += value * (query[j] ?? 0);
      square += value * value;
    }
    const lengths = own * Math.sqrt(square);
    scores[i] = lengths > 0 ? dot / lengths : 0;
  }
  return scores;
}

/** The `count` best of anything that has a score, the best first; of equal ones those that came first. */
export function best<T extends { score: number }>(all: T[], count: number): T[] {
  return all
    .map((one, at) => ({ one, at }))
    .sort((a, b) => b.one.score - a.one.score || a.at - b.at)
    .slice(0, count)
    .map(({ one }) => one);
}

/** Joins vectors to one array. */
export function flat(vectors: Float32Array[]): Vectors {
  const dimensions = vectors[0]?.length ?? 0;
  const data = new Float32Array(dimensions * vectors.length);
  vectors.forEach((vector, i) => data.set(vector, i * dimensions));
  return { dimensions, data };
}

/** Sizes as shapes: for a model's own size, the ones of about the same area that it can paint. */

/** What of an open model decides about sizes. */
export interface Canvas {
  defaultSize: [number, number];
  /** Sides are multiples of this. */
  multipleOf: number;
}

/** Large models have seen sides of such steps, whatever finer ones they can paint. */
const SEEN = 64;

/** No side may be longer. */
export const LONGEST = 4096;

export type ShapeName = "tall" | "portrait" | "square" | "landscape" | "wide";

export interface Shape {
  name: ShapeName;
  width: number;
  height: number;
}

const RATIOS: [ShapeName, number][] = [
  ["tall", 9 / 16],
  ["portrait", 3 / 4],
  ["square", 1],
  ["landscape", 4 / 3],
  ["wide", 16 / 9],
];

/** Narrow to wide. Small models have few sides to choose from: shapes that come out the same are given once. */
export function shapesOf({ defaultSize: [width, height], multipleOf }: Canvas): Shape[] {
  const found: Shape[] = [];
  const step = Math.min(width, height) >= 8 * SEEN ? Math.max(SEEN, multipleOf) : multipleOf;
  for (const [name, ratio] of RATIOS) {
    const shape = { name, ...sized(width * height, ratio, step) };
    // The model's own size is exact, whatever rounding says.
    if (name === "square" && width === height) Object.assign(shape, { width, height });
    if (!found.some((other) => other.width === shape.width && other.height === shape.height)) found.push(shape);
  }
  return found;
}

function sized(area: number, ratio: number, step: number): { width: number; height: number } {
  const width = Math.max(step, Math.round(Math.sqrt(area * ratio) / step) * step);
  const height = Math.max(step, Math.round(Math.sqrt(area / ratio) / step) * step);
  return { width, height };
}

/** The shape closest to a picture's own. */
export function nearest(shapes: Shape[], width: number, height: number): Shape | undefined {
  const off = (shape: Shape) => Math.abs(Math.log((shape.width * height) / (shape.height * width)));
  return [...shapes].sort((a, b) => off(a) - off(b))[0];
}

/** A side that the model can paint. */
export function side(value: number, { multipleOf: step }: Canvas): number {
  return Math.min(Math.floor(LONGEST / step) * step, Math.max(step, Math.round(value / step) * step));
}

/** The picture that painting starts from, and the strokes that mark what of it is to be repainted. */
import type { Images } from "./asks.js";

export interface Stroke {
  /** In pixels of the start picture, as are the points. */
  radius: number;
  points: [number, number][];
}

export interface Start {
  bitmap: ImageBitmap;
  strokes: Stroke[];
}

/** No model here paints more than this side; larger pictures would only hold memory. */
const MOST = 2048;

/** Decodes a picture; rejects where the browser can't. */
export async function readStart(blob: Blob): Promise<Start> {
  const whole = await createImageBitmap(blob);
  const scale = MOST / Math.max(whole.width, whole.height);
  if (scale >= 1) return { bitmap: whole, strokes: [] };
  const bitmap = await createImageBitmap(whole, {
    resizeWidth: Math.max(1, Math.round(whole.width * scale)),
    resizeHeight: Math.max(1, Math.round(whole.height * scale)),
    resizeQuality: "high",
  });
  whole.close();
  return { bitmap, strokes: [] };
}

/** How a picture covers a canvas of another shape: what sticks out is cut off evenly. */
export function cover(
  from: { width: number; height: number },
  width: number,
  height: number,
): { scale: number; x: number; y: number } {
  const scale = Math.max(width / from.width, height / from.height);
  return { scale, x: (width - from.width * scale) / 2, y: (height - from.height * scale) / 2 };
}

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

export function drawPicture(context: Context, { bitmap }: Start, width: number, height: number): void {
  const { scale, x, y } = cover(bitmap, width, height);
  // What is transparent is paper: models know no transparency.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, x, y, bitmap.width * scale, bitmap.height * scale);
}

export function drawStrokes(context: Context, start: Start, width: number, height: number, colour: string): void {
  const { scale, x, y } = cover(start.bitmap, width, height);
  context.strokeStyle = colour;
  context.fillStyle = colour;
  context.lineCap = "round";
  context.lineJoin = "round";
  for (const { radius, points } of start.strokes) {
    const [first, ...rest] = points.map(([px, py]) => [px * scale + x, py * scale + y] as const);
    if (!first) continue;
    context.beginPath();
    if (rest.length === 0) {
      context.arc(first[0], first[1], radius * scale, 0, 2 * Math.PI);
      context.fill();
      continue;
    }
    context.lineWidth = 2 * radius * scale;
    context.moveTo(first[0], first[1]);
    for (const [px, py] of rest) context.lineTo(px, py);
    context.stroke();
  }
}

/** The picture and, where something is marked, the mask, both at the size to be painted. */
export async function forModel(start: Start, width: number, height: number): Promise<Images> {
  const drawn = (draw: (context: OffscreenCanvasRenderingContext2D) => void) => {
    const canvas = new OffscreenCanvas(width, height);
    draw(canvas.getContext("2d")!);
    return canvas.convertToBlob({ type: "image/png" });
  };
  const image = drawn((context) => drawPicture(context, start, width, height));
  const mask =
    start.strokes.length > 0 &&
    drawn((context) => {
      context.fillStyle = "#000";
      context.fillRect(0, 0, width, height);
      drawStrokes(context, start, width, height, "#fff");
    });
  return { image: await image, ...(mask && { mask: await mask }) };
}

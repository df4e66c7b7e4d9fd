/** How much room there is for pictures. Measured, because no unit of CSS says it of a box that grows to fill a column. */

/** Keeps `--wide` and `--high` of an element at its size. */
export function measureRoom(element: HTMLElement): void {
  new ResizeObserver(([entry]) => {
    const { width, height } = entry!.contentRect;
    // While it is put away it keeps its size, and has it at once when it comes back.
    if (width === 0) return;
    element.style.setProperty("--wide", `${Math.floor(width)}px`);
    element.style.setProperty("--high", `${Math.floor(height)}px`);
  }).observe(element);
}

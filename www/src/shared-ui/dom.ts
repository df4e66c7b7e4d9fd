/** Building DOM without a framework: one function for elements, one for icons. Text is set as text, never as HTML. */

type Child = Node | string | number | null | undefined | false;
type Props = { [name: string]: unknown };

/**
 * Makes an element. `class`, `id`, `aria-*` and the like become attributes; `on…` functions become listeners; `true`
 * sets an empty attribute, `false`, `null` and `undefined` leave it out.
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on") && typeof value === "function") {
      element.addEventListener(name.slice(2).toLowerCase(), value as EventListener);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  append(element, children);
  return element;
}

/** Appends children, leaving out the empty ones so that callers can write `condition && node`. */
export function append(parent: Node, children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.appendChild(typeof child === "object" ? child : document.createTextNode(String(child)));
  }
}

/** Replaces everything inside `parent`. */
export function fill(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

/** The element with this id; the pages' skeletons are written by hand, so a missing one is a mistake of ours. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element #${id}`);
  return element as T;
}

const SVG = "http://www.w3.org/2000/svg";

/** Line drawings on a 20 x 20 grid, stroked with the current colour. */
const DRAWINGS = {
  menu: "M3 5.5h14M3 10h14M3 14.5h9",
  plus: "M10 4v12M4 10h12",
  close: "M5 5l10 10M15 5L5 15",
  sliders: "M3 6h7M14 6h3M3 14h3M10 14h7M12 4v4M8 12v4",
  send: "M10 16V4.5M5 9l5-5 5 5",
  copy: "M7 7V4h9v9h-3M4 7h9v9H4z",
  check: "M4 10.5l4 4 8-9",
  again: "M15.5 7A6.2 6.2 0 1 0 16 11.5M16 3.5V7h-3.6",
  pen: "M4 16l.8-3.4L13.4 4l2.6 2.6-8.6 8.6L4 16z",
  left: "M12 5l-5 5 5 5",
  right: "M8 5l5 5-5 5",
  down: "M5 8l5 5 5-5",
  end: "M10 4v11M5 10.5l5 5 5-5",
  trash: "M4 6h12M8 6V4h4v2M5.5 6l.8 10h7.4l.8-10",
  save: "M10 3.5v9M6 9l4 4 4-4M4 16.5h12",
  file: "M5.5 3h6l3 3v11h-9zM11.5 3v3h3",
  folder: "M3 5h5l1.5 2H17v9H3z",
  dots: "M5 10h.01M10 10h.01M15 10h.01",
  brush: "M4 16c2.6 0 4-.9 4-2.6 0-1-.8-1.8-1.8-1.8-2 0-1.2 3-2.2 4.4zM7.6 11.8L15 4.4l1.2 1.2-7.2 7.6",
  picture: "M3.5 4.5h13v11h-13zM3.5 13l3.6-3.6 3 3 2.4-2.4 4 4M13 7.6h.01",
  minus: "M10 3.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM7 10h6",
  lock: "M5 9.5h10v7H5zM7 9.5V7a3 3 0 0 1 6 0v2.5",
  unlock: "M5 9.5h10v7H5zM7 9.5V7a3 3 0 0 1 5.6-1.5",
  undo: "M7.5 4.5L4 8l3.5 3.5M4 8h7.5a4 4 0 0 1 0 8H8",
  copies: "M7 7h9v9H7zM4 13V4h9",
  grid: "M4 4h5v5H4zM11 4h5v5h-5zM4 11h5v5H4zM11 11h5v5h-5z",
  search: "M9 4a5 5 0 1 1 0 10A5 5 0 0 1 9 4zM13 13l4 4",
} as const;

export type IconName = keyof typeof DRAWINGS;

/** A decorative icon: the button around it carries the label. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", DRAWINGS[name]);
  svg.appendChild(path);
  return svg;
}

/** A square button that shows only an icon; `label` is read aloud and shown on hover. */
export function iconButton(
  name: IconName,
  label: string,
  onClick: (event: MouseEvent) => void,
  more: Props = {},
): HTMLButtonElement {
  return h(
    "button",
    { type: "button", class: "icon-button", "aria-label": label, title: label, onClick, ...more },
    icon(name),
  );
}

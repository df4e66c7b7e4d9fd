/** Columns against the measured bound. Horizontal places are in percent, so that letters keep their size on a phone. */
import { t } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { decodeShare, prefillShare, prefills, type Report } from "./report.js";
import { tokensPerSecond } from "./tables.js";

const SVG = "http://www.w3.org/2000/svg";
/** Pixels from the top: where 100 % and 0 % lie, and the whole. */
const [TOP, FLOOR, HEIGHT] = [26, 176, 222];
/** Percent of the width that the scale at the left takes. */
const LEFT = 10;

interface Column {
  group: "prefill" | "decode";
  context: number;
  speed: number;
  share: number;
}

/** Undefined where there is no bound, or nothing to compare with it. */
export function plot(report: Report): SVGSVGElement | undefined {
  const columns = columnsOf(report);
  if (columns.length === 0) return undefined;
  const svg = element("svg", { class: "plot", role: "img", height: HEIGHT, "aria-label": spoken(columns) });
  for (const part of [0, 0.5, 1]) {
    const y = FLOOR - part * (FLOOR - TOP);
    svg.append(
      element("line", { class: part === 1 ? "plot-bound" : "plot-line", x1: `${LEFT}%`, x2: "100%", y1: y, y2: y }),
      element(
        "text",
        { class: "plot-scale", x: `${LEFT - 1}%`, y: y + 4, "text-anchor": "end" },
        numbers.percent(part),
      ),
    );
  }
  // A gap, as wide as half a column, lies between reading and writing.
  const both = new Set(columns.map(({ group }) => group)).size - 1;
  const room = (100 - LEFT) / (columns.length + both / 2);
  let x = LEFT;
  let group = columns[0]!.group;
  let begun = x;
  const name = () => {
    const label = t(group === "prefill" ? "benchPlotPrefill" : "benchPlotDecode");
    const middle = `${(begun + x) / 2}%`;
    svg.append(element("text", { class: "plot-group", x: middle, y: FLOOR + 40, "text-anchor": "middle" }, label));
  };
  for (const column of columns) {
    if (column.group !== group) {
      name();
      x += room / 2;
      [group, begun] = [column.group, x];
    }
    svg.append(drawn(column, x, room));
    x += room;
  }
  name();
  return svg;
}

function drawn({ context, speed, share }: Column, x: number, room: number): SVGElement {
  // What is above the bound is drawn up to it: the number tells.
  const height = Math.max(1, Math.min(1, share) * (FLOOR - TOP));
  const middle = `${x + room / 2}%`;
  const place = { x: `${x + room * 0.18}%`, width: `${room * 0.64}%` };
  const label = (y: number, name: string, text: string) =>
    element("text", { class: name, x: middle, y, "text-anchor": "middle" }, text);
  const group = element("g", {});
  group.append(
    element("title", {}, `${numbers.count(context)}: ${tokensPerSecond(speed)}, ${numbers.share(share)}`),
    element("rect", { class: "plot-room", ...place, y: TOP, height: FLOOR - TOP }),
    element("rect", { class: "plot-column", ...place, y: FLOOR - height, height }),
    label(Math.max(TOP - 6, FLOOR - height - 6), "plot-share", numbers.share(share)),
    label(FLOOR + 18, "plot-context", numbers.count(context)),
  );
  return group;
}

function columnsOf(report: Report): Column[] {
  const { language } = report;
  if (!language) return [];
  const read = prefills(language).map((each) => ({
    group: "prefill" as const,
    context: each.context,
    speed: each.prefillTokensPerSecond,
    share: prefillShare(report, each),
  }));
  const written = language.contexts.map((each) => ({
    group: "decode" as const,
    context: each.context,
    speed: each.decodeTokensPerSecond,
    share: decodeShare(report, each),
  }));
  return [...read, ...written].filter((column): column is Column => column.share !== undefined);
}

/** The plot for those who don't see it. */
function spoken(columns: Column[]): string {
  const parts = columns.map(({ group, context, share }) => {
    const label = t(group === "prefill" ? "benchPlotPrefill" : "benchPlotDecode");
    return `${label} ${numbers.count(context)}: ${numbers.share(share)}`;
  });
  return t("benchPlot", { parts: parts.join("; ") });
}

function element(tag: string, attributes: Record<string, string | number>, text?: string): SVGElement & SVGSVGElement {
  const made = document.createElementNS(SVG, tag) as SVGElement & SVGSVGElement;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  if (text !== undefined) made.textContent = text;
  return made;
}

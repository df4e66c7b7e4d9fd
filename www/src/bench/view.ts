/** Results as they are shown: a table for each part, the plot, the list of kernels. */
import { append, fill, h } from "../shared-ui/dom.js";
import { t } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { troubleCard } from "../shared-ui/trouble.js";
import { plot } from "./plot.js";
import type { Report } from "./report.js";
import { sections, type Row, type Section } from "./tables.js";

/** `picture`: what the image model painted. */
export function drawResults(place: HTMLElement, report: Report, picture: ImageBitmap | undefined): void {
  // What is unfolded stays so while rows are added.
  const open = place.querySelector<HTMLDetailsElement>(".kernels")?.open ?? false;
  fill(place, h("h2", { class: "aside" }, t("benchResults")));
  for (const section of sections(report)) {
    const part = h("section", { class: `result ${section.kind}` }, table(section));
    append(part, [
      section.kind === "gpu" && report.gpu && report.gpu.kernels.length > 0 && kernels(report.gpu.kernels, open),
      section.kind === "language" && figure(report),
      section.kind === "image" && picture && painted(picture),
    ]);
    place.append(part);
  }
  if (report.cancelled) place.append(h("p", { class: "hint" }, t("benchCancelled")));
}

function table({ title, facts, rows, notes, trouble }: Section): DocumentFragment {
  const bounded = rows.some(({ share }) => share !== undefined);
  const part = document.createDocumentFragment();
  const head = h(
    "thead",
    {},
    h(
      "tr",
      {},
      h("td", {}),
      h("th", { scope: "col" }, t("benchMeasured")),
      bounded && h("th", { scope: "col" }, t("benchShare")),
    ),
  );
  append(part, [
    h("h3", {}, title),
    facts.length > 0 && h("p", { class: "facts" }, ...facts.map((fact) => h("span", {}, fact))),
    rows.length > 0 &&
      h("table", { "aria-label": title }, head, h("tbody", {}, ...rows.map((row) => line(row, bounded)))),
    ...notes.map((note) => h("p", { class: "hint note" }, note)),
    trouble && troubleCard(trouble, [], t("benchBroke")),
  ]);
  return part;
}

function line({ label, value, share }: Row, bounded: boolean): HTMLTableRowElement {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, label),
    h("td", { class: "value" }, value),
    bounded && h("td", { class: "part" }, share !== undefined && bar(share)),
  );
}

function bar(share: number): HTMLElement {
  const filled = h("span", { class: "share-fill" });
  filled.style.width = `${100 * Math.min(1, share)}%`;
  return h(
    "span",
    { class: "share-of" },
    h("span", { class: "share-bar", "aria-hidden": "true" }, filled),
    h("span", { class: "share-text" }, numbers.share(share)),
  );
}

function figure(report: Report): HTMLElement | undefined {
  const drawing = plot(report);
  if (!drawing) return undefined;
  const around = h("figure", { class: "plot-figure" }, h("figcaption", {}, t("benchPlotTitle")));
  around.append(drawing);
  return around;
}

function kernels(all: NonNullable<Report["gpu"]>["kernels"], open: boolean): HTMLElement {
  const rows = all.map(({ name, variant, ok, error }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("code", {}, name)),
      h("td", {}, h("code", {}, variant)),
      h("td", { class: "value" }, error === 0 ? "0" : error.toExponential(1)),
      h("td", { class: ok ? "right" : "wrong" }, t(ok ? "benchKernelOk" : "benchKernelBad")),
    ),
  );
  const column = (text: string) => h("th", { scope: "col" }, text);
  return h(
    "details",
    { class: "kernels", open: open || all.some(({ ok }) => !ok) },
    h("summary", {}, t("benchKernels")),
    // It can be wider than a phone: reached by the keyboard, it scrolls by the arrow keys.
    h(
      "div",
      { class: "table", role: "region", tabindex: 0, "aria-label": t("benchKernels") },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            column(t("benchKernel")),
            column(t("benchVariant")),
            column(t("benchError")),
            column(t("benchSelfTest")),
          ),
        ),
        h("tbody", {}, ...rows),
      ),
    ),
  );
}

function painted(picture: ImageBitmap): HTMLElement {
  const canvas = h("canvas", { class: "painted", width: picture.width, height: picture.height, role: "img" });
  canvas.setAttribute("aria-label", t("benchPainted"));
  canvas.getContext("2d")?.drawImage(picture, 0, 0);
  return canvas;
}

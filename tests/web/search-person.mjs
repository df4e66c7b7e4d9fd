// What a person does on the search page, for its tests, the package's double that answers them, and files to drop.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openBrowser } from "./browser.mjs";

const examples = fileURLToPath(new URL("../../examples", import.meta.url));
const double = readFileSync(new URL("search-double.js", import.meta.url));
const serveDouble = (_, response) => response.writeHead(200, { "Content-Type": "text/javascript" }).end(double);

/** A browser in which the pages import search-double.js as the package. */
export function openStudy(options = {}) {
  const routes = { "/dist/inkstone.js": serveDouble, "/examples/": examples };
  return openBrowser({ ...options, webgpu: "refused", routes });
}

const HELVETICA = ["<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"];

/** A PDF file of these pages, each a list of lines. */
export function pdf(...pages) {
  const show = (line) => `(${line.replace(/[\\()]/g, "\\$&")})`;
  return pdfWith(HELVETICA, show, "", pages);
}

/** One in Chinese, as old programs wrote them: its letters are those of a table that the file only names. */
export function chinesePdf(...pages) {
  const measures = "/FontBBox [0 0 1000 1000] /ItalicAngle 0 /Ascent 880 /Descent -120 /CapHeight 880 /StemV 93";
  const info = "/CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 2 >>";
  const fonts = [
    "<< /Type /Font /Subtype /Type0 /BaseFont /SimSun /Encoding /UniGB-UCS2-H /DescendantFonts [4 0 R] >>",
    `<< /Type /Font /Subtype /CIDFontType2 /BaseFont /SimSun ${info} /FontDescriptor 5 0 R /DW 1000 >>`,
    `<< /Type /FontDescriptor /FontName /SimSun /Flags 4 ${measures} >>`,
  ];
  const show = (line) => `<${Buffer.from(line, "utf16le").swap16().toString("hex")}>`;
  return pdfWith(fonts, show, "", pages);
}

/** One that asks for a password. */
export function lockedPdf(...pages) {
  const key = `<${"5a".repeat(32)}>`;
  const lock = `/Encrypt << /Filter /Standard /V 1 /R 2 /O ${key} /U ${key} /P -4 >> /ID [<00> <00>]`;
  return pdfWith(HELVETICA, (line) => `(${line})`, lock, pages);
}

function pdfWith(fonts, show, more, pages) {
  const first = 3 + fonts.length;
  const kids = pages.map((_, i) => `${first + 2 * i} 0 R`).join(" ");
  const objects = [
    "",
    "<< /Type /Catalog /Pages 2 0 R >>",
    `<< /Type /Pages /Kids [${kids}] /Count ${pages.length} >>`,
  ];
  objects.push(...fonts);
  for (const [i, lines] of pages.entries()) {
    const content = `BT /F1 12 Tf 14 TL 72 720 Td\n${lines.map((line) => `${show(line)} Tj T*`).join("\n")}\nET`;
    const resources = "<< /Font << /F1 3 0 R >> >>";
    const place = `/Parent 2 0 R /MediaBox [0 0 612 792] /Contents ${first + 1 + 2 * i} 0 R`;
    objects.push(`<< /Type /Page ${place} /Resources ${resources} >>`);
    objects.push(`<< /Length ${content.length} >>\nstream\n${content}\nendstream`);
  }
  let file = "%PDF-1.4\n";
  const places = objects.map((object, n) => {
    const at = file.length;
    if (n > 0) file += `${n} 0 obj\n${object}\nendobj\n`;
    return at;
  });
  const entry = (at, n) => (n === 0 ? "0000000000 65535 f \n" : `${String(at).padStart(10, "0")} 00000 n \n`);
  const trailer = `trailer\n<< /Size ${objects.length} /Root 1 0 R ${more} >>\nstartxref\n${file.length}\n%%EOF\n`;
  return Buffer.from(`${file}xref\n0 ${objects.length}\n${places.map(entry).join("")}${trailer}`, "latin1");
}

/** The acts of a person on `page`. */
export function seeker(page) {
  const shown = (selector) => page.locator(selector).first().innerText();

  /** How the double behaves from now on: see search-double.js. */
  const wish = (wishes) => page.evaluate((text) => localStorage.setItem("double", text), JSON.stringify(wishes));

  const asked = () => page.evaluate(() => globalThis.asked.splice(0));

  const ready = () => page.waitForSelector("#model-button[data-step=ready]");

  /** Names a model in the picker. */
  async function choose(name, button = "#model-button") {
    await page.click(button);
    await page.fill("#model-name", name);
    await page.press("#model-name", "Enter");
  }

  async function openModel(name) {
    if (name) await choose(name);
    await page.click("#empty-panel #open-model, #dock #open-model");
    await ready();
  }

  /** Drops files `[path, content]` as a file manager does; true if the frame showed while they hung over the page. */
  const drop = (...files) =>
    page.evaluate(
      (files) => {
        const transfer = new DataTransfer();
        for (const [name, base64] of files) {
          transfer.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], name));
        }
        const send = (kind) =>
          dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
        send("dragenter");
        send("dragover");
        const framed = !document.getElementById("drop").hidden;
        send("drop");
        return framed && document.getElementById("drop").hidden;
      },
      files.map(([name, content]) => [name, Buffer.from(content).toString("base64")]),
    );

  /** Waits until these notes have been read: their number of passages is told. */
  const read = (count) =>
    page.waitForFunction(
      (count) =>
        !document.querySelector("#work .progress") &&
        [...document.querySelectorAll(".note-facts")].filter((one) => /passage/.test(one.textContent)).length === count,
      count,
    );

  const notes = () => page.$$eval(".note-name", (all) => all.map((one) => one.textContent));

  /** Asks; gives the passages: `{ file, place, score, text, marks }`. */
  async function ask(question) {
    await page.fill("#question", question);
    await page.press("#question", "Enter");
    await page.waitForFunction(
      (question) =>
        document.getElementById("asked")?.textContent === question && document.getElementById("found-count"),
      question,
    );
    return passages();
  }

  const passages = () =>
    page.$$eval(".passage", (all) =>
      all.map((one) => ({
        file: one.querySelector("h3").textContent,
        place: one.querySelector(".passage-place")?.textContent ?? "",
        score: Number(one.querySelector(".passage-score").lastChild.textContent),
        text: one.querySelector(".passage-text").textContent,
        marks: [...one.querySelectorAll("mark")].map((mark) => mark.textContent),
      })),
    );

  return { ask, asked, choose, drop, notes, openModel, passages, read, ready, shown, wish };
}

// What a person does on the paint page, for its tests, and the package's double that answers them.

import { readFileSync } from "node:fs";
import { openBrowser } from "./browser.mjs";

const double = readFileSync(new URL("paint-double.js", import.meta.url));
const serveDouble = (_, response) => response.writeHead(200, { "Content-Type": "text/javascript" }).end(double);

/** A browser in which the pages import paint-double.js as the package. */
export function openStudio(options = {}) {
  return openBrowser({ ...options, webgpu: "refused", routes: { "/dist/inkstone.js": serveDouble } });
}

/** The acts of a person on `page`. */
export function painter(page) {
  const shown = (selector) => page.locator(selector).first().innerText();

  /** How the double behaves from now on: see paint-double.js. */
  const wish = (wishes) => page.evaluate((text) => localStorage.setItem("double", text), JSON.stringify(wishes));

  async function openModel() {
    await page.click("#open-model");
    await page.waitForSelector("#model-button[data-step=ready]");
  }

  /** Waits until nothing is painted; resolves to the calls of `generate` since the last time. */
  async function done() {
    await page.waitForSelector("#send:not(.stop)");
    return asked();
  }

  const asked = () => page.evaluate(() => globalThis.asked.splice(0));

  async function paint(words) {
    if (words !== undefined) await page.fill("#prompt", words);
    await page.press("#prompt", "Enter");
    await page.waitForFunction(() => globalThis.asked.length > 0);
    return done();
  }

  /** Names a model in the picker. */
  async function choose(name) {
    await page.click("#model-button");
    await page.fill("#model-name", name);
    await page.press("#model-name", "Enter");
  }

  /** Writes a number into the drawer. */
  async function set(name, value) {
    await page.fill(`#set-${name}`, String(value));
    await page.locator(`#set-${name}`).blur();
  }

  /** Drops files `[name, content, type]` as a file manager does. */
  const drop = (...files) =>
    page.evaluate(
      (files) => {
        const transfer = new DataTransfer();
        for (const [name, base64, type] of files) {
          const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
          transfer.items.add(new File([bytes], name, { type }));
        }
        for (const kind of ["dragenter", "dragover", "drop"]) {
          dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }
      },
      files.map(([name, content, type = ""]) => [name, Buffer.from(content).toString("base64"), type]),
    );

  /** Presses Save below the picture; resolves to the file's name and bytes. */
  async function save() {
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("[data-act=save]")]);
    return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
  }

  /** A plain PNG in one colour, made by the browser. */
  const plain = async (width, height, colour) => {
    const base64 = await page.evaluate(
      async ([width, height, colour]) => {
        const canvas = new OffscreenCanvas(width, height);
        const context = canvas.getContext("2d");
        context.fillStyle = colour;
        context.fillRect(0, 0, width, height);
        const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
        return btoa(String.fromCharCode(...bytes));
      },
      [width, height, colour],
    );
    return Buffer.from(base64, "base64");
  };

  /** Mean colour of the picture or preview on the stage, and its size as laid out. */
  const onStage = () =>
    page.evaluate(() => {
      const sheet = document.querySelector("#stage .frame .sheet");
      const canvas = new OffscreenCanvas(16, 16);
      const context = canvas.getContext("2d");
      context.drawImage(sheet, 0, 0, 16, 16);
      const { data } = context.getImageData(0, 0, 16, 16);
      const mean = [0, 1, 2, 3].map((at) => data.filter((_, i) => i % 4 === at).reduce((a, b) => a + b, 0) / 256);
      const { width, height } = sheet.getBoundingClientRect();
      return { tag: sheet.tagName, mean, width, height };
    });

  return { asked, choose, done, drop, onStage, openModel, paint, plain, save, set, shown, wish };
}

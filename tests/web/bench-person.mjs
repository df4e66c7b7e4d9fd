// What a person does on the bench page, for its tests, and the package's double that answers them.

import { readFileSync } from "node:fs";
import { openBrowser } from "./browser.mjs";

const double = readFileSync(new URL("bench-double.js", import.meta.url));
const serveDouble = (_, response) => response.writeHead(200, { "Content-Type": "text/javascript" }).end(double);

/** A browser in which the pages import bench-double.js as the package. */
export function openDoubled(options = {}) {
  return openBrowser({ ...options, webgpu: "refused", routes: { "/dist/inkstone.js": serveDouble } });
}

/** The acts of a person on `page`. */
export function measurer(page) {
  const shown = (selector) => page.locator(selector).first().innerText();

  /** How the double behaves from now on: see bench-double.js. */
  const wish = (wishes) => page.evaluate((text) => localStorage.setItem("double", text), JSON.stringify(wishes));

  const asked = () => page.evaluate(() => globalThis.asked.splice(0));

  /** Waits until it is known whether what is ticked fits. */
  const startable = () => page.waitForSelector("#start:not([disabled])");

  /** Measures to the end. */
  async function measure() {
    await startable();
    await page.click("#start");
    await done();
  }

  const done = async () => {
    await page.waitForSelector("#desk[data-running=false] #copy:not([hidden])");
    await startable();
  };

  /** What a table says: label -> [measured, part of the bound]. */
  const table = (part) =>
    page.$$eval(`.result.${part} > table tbody tr`, (rows) =>
      Object.fromEntries(
        rows.map((row) => [...row.children].map((cell) => cell.textContent)).map(([label, ...rest]) => [label, rest]),
      ),
    );

  const notes = () => page.$$eval(".result .note", (all) => all.map((note) => note.textContent));

  /** Presses the button that copies; resolves to what is on the clipboard. */
  async function copy() {
    await page.evaluate(() => navigator.clipboard.writeText(""));
    await page.click("#copy");
    await page.waitForFunction(async () => (await navigator.clipboard.readText()) !== "");
    return page.evaluate(() => navigator.clipboard.readText());
  }

  /** Names another model of this kind in the picker. */
  async function choose(kind, name) {
    await page.click(`#other-${kind}`);
    await page.fill("#model-name", name);
    await page.press("#model-name", "Enter");
  }

  return { asked, choose, copy, done, measure, notes, shown, startable, table, wish };
}

// The browser and the server of the browser tests. Chromium computes WebGPU on the CPU (SwiftShader), so the tests need
// no GPU; every browser starts with a profile of its own, empty unless one is handed in.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { serve } from "../../tools/serve.mjs";
import { chromium as findChromium } from "../../tools/setup.mjs";

const FLAGS = [
  "--no-sandbox", // Chromium's own sandbox does not start as root, which is what containers run as
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const SWIFTSHADER = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
const WITHOUT_WEBGPU = "delete (globalThis.Navigator ?? WorkerNavigator).prototype.gpu;";

/**
 * Starts the server (tools/serve.mjs, with `routes` added) and a browser.
 *
 * - `webgpu`: "works"; "refused": `navigator.gpu` gives no adapter; "absent": there is no `navigator.gpu`.
 * - `profile`: a folder that outlives the browser, to come back to what an earlier one stored.
 * - `context`: more options of Playwright's contexts: `locale`, `viewport`, `colorScheme`, ...
 * - `url`: the site to use instead of starting a server.
 *
 * Resolves to `{ url, context, newPage, close }`. `newPage(path)` opens a page; its `problems` lists the uncaught
 * exceptions and console errors of the page and its workers. `close()` ends browser and server.
 */
export async function openBrowser({ routes, args = [], webgpu = "works", profile, context: options = {}, url } = {}) {
  const executablePath = findChromium();
  if (!executablePath) throw new Error("There is no Chromium: install it, or name one in the variable CHROMIUM.");
  const server = url ? undefined : await serve({ routes });
  const folder = profile ?? mkdtempSync(join(tmpdir(), "inkstone-profile-"));
  const end = async (context) => {
    await context?.close();
    await server?.close();
    if (!profile) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  let context;
  try {
    context = await chromium.launchPersistentContext(folder, {
      executablePath,
      args: [...FLAGS, ...(webgpu === "works" ? SWIFTSHADER : ["--disable-gpu"]), ...args],
      ...options,
    });
  } catch (error) {
    await end();
    throw error;
  }
  if (webgpu === "absent") {
    await context.addInitScript(WITHOUT_WEBGPU);
    // Init scripts don't reach workers.
    await context.route("**/worker.js", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: `${WITHOUT_WEBGPU}\n${await response.text()}` });
    });
  }
  const site = url ?? server.url;
  const newPage = async (path) => {
    const page = await context.newPage();
    page.problems = [];
    page.on("pageerror", (error) => page.problems.push(String(error)));
    page.on("console", (message) => message.type() === "error" && page.problems.push(message.text()));
    if (path !== undefined) await page.goto(new URL(path, site).href);
    return page;
  };
  return { url: site, context, newPage, close: () => end(context) };
}

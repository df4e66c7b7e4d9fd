// A page for one system: a fresh browser with the meter in it, everything from this machine, and what it fetched.

import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { openBrowser } from "../../tests/web/browser.mjs";
import { serve } from "../serve.mjs";
import { root } from "../shell.mjs";

const PAGES = join(root, "tools", "bench", "page");
const METER = await readFile(join(PAGES, "meter.js"), "utf8");
const PRETEND_F16 = await readFile(join(PAGES, "pretend-f16.js"), "utf8");
const TRANSFORMERS = "/npm/@huggingface/transformers";
const IMPORTS = {
  "onnxruntime-web/webgpu": `${TRANSFORMERS}/node_modules/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs`,
  "onnxruntime-common": "/npm/onnxruntime-common/dist/esm/index.js",
};
const BLANK = `<!doctype html><link rel="icon" href="data:,"><title>bench</title>
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`;

/** What took longer than it may. */
export class Over extends Error {}

/**
 * Opens the system whose page module is `module`. `places`: the folders of `/npm/` and `/models/`. Resolves to
 * `{ evaluate, hostPeak, download, close }`: `evaluate(job, argument, seconds)` runs a function in the page and rejects
 * with Over when it takes too long; `hostPeak()` is the most memory that the page's process has had, in bytes, above
 * what it had for an empty page. In the page `bench.module` is the system's module, and `bench.counted(job)` resolves to
 * the job's `{ ms, counts, levels, answer }`: what the meter counted meanwhile and what it shows then.
 */
export async function openSystem({ module, nullGpu, pretendF16, places }) {
  const blank = (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end(BLANK);
  const routes = { "/bench/": PAGES, "/npm/": places.npm, "/models/": places.models, "/blank": blank };
  const { url, server, close } = await serve({ routes });
  const fetched = new Set();
  server.prependListener("request", (request, response) => {
    fetched.add(new URL(request.url, url).pathname);
    // The meter's shared memory needs cross-origin isolation, and so do threads of WebAssembly.
    response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
    response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
  });
  const workers = [`globalThis.benchNullGpu = ${nullGpu};`, pretendF16 ? PRETEND_F16 : ""].join("\n");
  let browser;
  try {
    browser = await openBrowser({ url, args: ["--enable-precise-memory-info"] });
    const set = `globalThis.benchNullGpu = ${nullGpu}; globalThis.benchWorkerText = ${JSON.stringify(workers)};`;
    await browser.context.addInitScript({ content: [set, pretendF16 ? PRETEND_F16 : "", METER].join("\n") });
    const page = await browser.newPage("/blank");
    const empty = await processPeak(browser.context.browser());
    await page.evaluate(async (module) => {
      const counted = async (job) => {
        const before = meter.read();
        const begun = performance.now();
        const answer = await job();
        const ms = performance.now() - begun;
        const levels = meter.read();
        const counts = Object.fromEntries(Object.entries(levels).map(([name, n]) => [name, n - before[name]]));
        return { ms, counts, levels, answer };
      };
      globalThis.bench = { module: await import(`/bench/${module}`), counted };
    }, module);
    return {
      evaluate: (job, argument, seconds) => within(page.evaluate(job, argument), seconds, () => page.problems),
      hostPeak: async () => (await processPeak(browser.context.browser())) - empty,
      download: () => download(url, [...fetched].filter((path) => !path.startsWith("/bench/"))),
      async close() {
        await browser.close();
        await close();
      },
    };
  } catch (error) {
    await browser?.close();
    await close();
    throw error;
  }
}

async function within(promise, seconds, problems) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Over(`over ${seconds} s`)), seconds * 1000);
  });
  // Who loses the race is not to bring the run down.
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } catch (error) {
    if (!(error instanceof Over)) error.message += `\n${problems().slice(0, 5).join("\n")}`;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The most memory that the page's process has had, in bytes, as Linux counts it; NaN where that can't be told. The
 * browser is asked which process that is, because the page may be busy.
 */
async function processPeak(browser) {
  // What a browser that broke down would have said is no reason to lose the rest of the record.
  const asked = async () => (await browser.newBrowserCDPSession()).send("SystemInfo.getProcessInfo");
  const { processInfo } = await asked().catch(() => ({ processInfo: [] }));
  const pages = processInfo.filter(({ type }) => type === "renderer");
  const peaks = pages.map(({ id }) => 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(processStatus(id))?.[1]));
  const known = peaks.filter(Number.isFinite);
  return known.length > 0 ? Math.max(...known) : NaN;
}

function processStatus(id) {
  try {
    return readFileSync(`/proc/${id}/status`, "utf8");
  } catch {
    return ""; // no Linux, or the process has ended
  }
}

/** The code that was fetched, in bytes: `{ raw, gzip }`. */
async function download(url, paths) {
  const size = { raw: 0, gzip: 0 };
  for (const path of paths.filter((path) => /\.(js|mjs|wasm)$/.test(path))) {
    const bytes = new Uint8Array(await (await fetch(new URL(path, url))).arrayBuffer());
    size.raw += bytes.length;
    size.gzip += gzipSync(bytes, { level: 9 }).length;
  }
  return size;
}

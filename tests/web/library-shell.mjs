// What the tests of the shell by itself share: a server with the package on it, built from its sources around
// library-double.js in the place of the wasm module, and a page of a fresh profile for every test.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, beforeEach } from "node:test";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { ggufBytes, misbehave, sha256 } from "./library-server.mjs";

export const ROOT = new URL("../../", import.meta.url);
export const MIB = 1024 * 1024;
export let files, server, other, browser, context, page;

/** Half a minute of silence is long for a test, and so are four seconds of trying again. */
const impatient = {
  name: "impatient",
  setup: ({ onLoad }) =>
    onLoad({ filter: /http\.ts$/ }, async ({ path }) => {
      const patient = await readFile(path, "utf8");
      const contents = patient.replace("STALL_MS = 30_000", "STALL_MS = 700").replace("250 * 2 **", "25 * 2 **");
      assert.match(contents, /STALL_MS = 700;[^]*Math\.min\(25 \* 2 \*\*/);
      return { contents, loader: "ts" };
    }),
};

export async function bundle(entry) {
  const { outputFiles } = await build({
    entryPoints: [new URL(entry, ROOT).pathname],
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
    external: ["./inkstone_wasm.js"],
    plugins: [impatient],
  });
  return { body: outputFiles[0].text, type: "text/javascript" };
}

before(async () => {
  const html = { body: "<!doctype html><link rel=icon href=data:,><title>t</title>", type: "text/html" };
  files = {
    "/": html,
    "/models/": html,
    "/inkstone.js": await bundle("www/src/public/index.ts"),
    "/source.js": await bundle("www/src/internal/source.ts"),
    "/worker.js": await bundle("www/src/internal/worker.ts"),
    "/inkstone_wasm.js": {
      body: await readFile(new URL("library-double.js", import.meta.url)),
      type: "text/javascript",
    },
    "/good.gguf": { body: ggufBytes(1000) },
    "/inkstone_wasm_bg.wasm": { body: "\0asm", type: "application/wasm" },
  };
  server = await misbehave(files);
  other = await misbehave();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.close();
  await other?.close();
});

export function launch(more = ["--enable-unsafe-webgpu"]) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update", ...more],
  });
}

/** A page of a fresh profile: an empty store and no worker yet. */
export async function open(where = browser, url = server.url) {
  const fresh = await where.newContext();
  const page = await fresh.newPage();
  page.noise = [];
  page.on("console", (message) => message.type() === "error" && page.noise.push(message.text()));
  page.on("pageerror", (error) => page.noise.push(String(error)));
  await visit(page, url);
  return page;
}

/** A visit: the worker of the one before is gone, the store is not. */
export async function visit(page, url = server.url) {
  await page.goto(url);
  await page.evaluate(async () => {
    window.ink = await import("/inkstone.js");
    // Runs `job`; an InkstoneError becomes { code, message }, any other error stays one.
    window.attempt = async (job) => {
      try {
        return { value: await job() };
      } catch (error) {
        if (!(error instanceof window.ink.InkstoneError && error instanceof Error)) throw error;
        return { code: error.code, message: error.message };
      }
    };
    window.load = (source, options) =>
      window.attempt(async () => (window.model = await window.ink.LanguageModel.load(source, options)).info);
  });
  server.requests();
  other.requests();
}

beforeEach(async () => {
  await context?.close();
  page = await open();
  context = page.context();
});

export const load = (source, options) => page.evaluate(([s, o]) => load(s, o), [source, options]);
/** What a load says of the files that it read. */
export const hashes = async (source, options) => {
  const { value, code, message } = await load(source, options);
  assert.equal(code, undefined, message);
  return value.hashes;
};
export const cacheList = () => page.evaluate(() => ink.cache.list());
export const ranges = () => server.requests().map(({ path, range }) => (range ? `${path} ${range}` : path));

export function put(path, behaviour) {
  files[path] = behaviour;
  return sha256(behaviour.body);
}

/** From here on the functions above speak to another page. */
export function use(another) {
  page = another;
}

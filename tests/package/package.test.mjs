// The package as users get it: packed, installed in a fresh Vite project that has no configuration at all, type-checked,
// bundled, served as plain files, and chatted with in Chromium.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { root } from "../../tools/shell.mjs";
import { openBrowser } from "../web/browser.mjs";
import { REPLY, tinyModel } from "../web/tiny-model.mjs";

let folder, project, installed;

function run(program, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  assert.ok(!error && status === 0, `${[program, ...args].join(" ")}: ${error ?? `status ${status}`}\n${stdout}\n${stderr}`);
  return stdout;
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), "inkstone-package-"));
  project = join(folder, "project");
  cpSync(join(root, "tests", "package", "vite"), project, { recursive: true });
  run("npm", ["pack", "--silent", "--pack-destination", folder], root);
  const [tarball] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  const quiet = ["--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
  run("npm", ["ci", ...quiet], project);
  run("npm", ["install", "--no-save", ...quiet, join(folder, tarball)], project);
  installed = join(project, "node_modules", "inkstone");
});

after(() => rmSync(folder, { recursive: true, force: true }));

const filesOf = (path) =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));

test("the package holds what is promised and nothing else", () => {
  const names = filesOf(installed).map((path) => path.slice(installed.length + 1).replaceAll("\\", "/"));
  const fixed = names.filter((name) => !name.startsWith("dist/types/")).sort();
  assert.deepEqual(fixed, [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "dist/inkstone.d.ts",
    "dist/inkstone.js",
    "dist/inkstone_wasm.js",
    "dist/inkstone_wasm_bg.wasm",
    "dist/worker.js",
    "package.json",
  ]);
  for (const name of names.filter((name) => name.startsWith("dist/types/"))) assert.match(name, /\.d\.ts$/);
});

test("no path of the machine that built it is in the package", () => {
  const cargo = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  const traces = [root, homedir(), cargo, tmpdir(), "/usr/lib/rust", "registry/src", "rustlib"];
  for (const path of filesOf(installed)) {
    const content = readFileSync(path, "latin1");
    for (const trace of traces) {
      // As a path: the text itself, not the start of a longer word.
      const at = content.search(new RegExp(`${trace.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}(?![\\w-])`));
      assert.equal(at, -1, `${path} names ${trace}: ${content.slice(Math.max(at - 40, 0), at + 80)}`);
    }
  }
});

test("the wasm is valid and carries no names", () => {
  const bytes = readFileSync(join(installed, "dist", "inkstone_wasm_bg.wasm"));
  const module = new WebAssembly.Module(bytes);
  for (const section of ["name", "producers", "target_features", ".debug_info"]) {
    assert.equal(WebAssembly.Module.customSections(module, section).length, 0, section);
  }
});

test("the declarations compile under --strict, however modules are resolved", () => {
  const consumer = join(project, "consumer.ts");
  writeFileSync(
    consumer,
    `import { InkstoneError, LanguageModel, cache, estimate, probe, roofline } from "inkstone";
import type { GenerateOptions, Generation, GenerationResult, LoadOptions, Message, Roofline, Source } from "inkstone";

const source: Source = { "config.json": new Blob([]), "model.safetensors": new URL("https://example.org/m") };
const options: LoadOptions = { quantize: "auto", tier: "base", onProgress: ({ phase, loaded, total }) => void [phase, loaded / total] };
const messages: Message[] = [{ role: "user", content: "Hello" }];
const settings: GenerateOptions = { maxTokens: 8, temperature: 0, stop: ["\\n"], signal: new AbortController().signal };
export async function all(): Promise<number> {
  const model = await LanguageModel.load(source, options);
  const generation: Generation = model.generate(messages, settings);
  for await (const text of generation) text.toUpperCase();
  const result: GenerationResult = await generation;
  const logits: Float32Array = await model.logits(await model.tokenize(result.text, { special: true }));
  await model.dispose();
  const { fits } = await estimate("owner/repo");
  const { bytesPerSecond }: Roofline = await roofline({ tier: "base" });
  try {
    return (await probe()).budgetBytes + (await cache.bytes()) + logits.length + Number(fits) + bytesPerSecond;
  } catch (error) {
    if (error instanceof InkstoneError && error.code === "Gpu") return 0;
    throw error;
  }
}
// @ts-expect-error: there is no such option
model().generate("x", { maxToken: 8 });
// @ts-expect-error: there is no such quantization
void LanguageModel.load("owner/repo", { quantize: "q3" });
declare function model(): LanguageModel;
`,
  );
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  const common = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--types", "", "--target", "es2022"];
  common.push("--lib", "es2022,dom,dom.iterable,esnext.disposable");
  for (const [module, resolution] of [["esnext", "bundler"], ["nodenext", "nodenext"]]) {
    run(process.execPath, [compiler, ...common, "--module", module, "--moduleResolution", resolution, consumer], project);
  }
});

/** Opens the project's page in a browser, with the model served by `routes` or by `url`, and talks to the model. */
async function chat(options) {
  const browser = await openBrowser(options);
  try {
    const page = await browser.newPage("/");
    await page.waitForFunction(() => "chat" in window);
    const probed = await page.evaluate(() => window.probe());
    assert.deepEqual([probed.supported, probed.reason], [true, undefined]);
    const answer = await page.evaluate(() => window.chat("/model.gguf", [{ role: "user", content: "Hello" }]));
    assert.equal(answer.text, REPLY);
    assert.ok(answer.pieces > 1, "the text came in one piece");
    assert.equal(await page.textContent("output"), REPLY);
    assert.deepEqual(page.problems, []);
  } finally {
    await browser.close();
  }
}

test("a Vite project without configuration builds and chats", async () => {
  run("npm", ["run", "build", "--silent"], project);
  const model = tinyModel();
  const routes = { "/": join(project, "dist"), "/model.gguf": (request, response) => response.end(model) };
  await chat({ routes });
});

test("Vite's development server chats as well", async () => {
  mkdirSync(join(project, "public"));
  writeFileSync(join(project, "public", "model.gguf"), tinyModel());
  const vite = join(project, "node_modules", "vite", "bin", "vite.js");
  const env = { ...process.env, NO_COLOR: "1" };
  // Port 0: any that is free; Vite prints which.
  const server = spawn(process.execPath, [vite, "--port", "0"], { cwd: project, env, stdio: ["ignore", "pipe", "inherit"] });
  try {
    const url = await new Promise((resolve, reject) => {
      let output = "";
      server.stdout.setEncoding("utf8").on("data", (text) => {
        output += text;
        const found = /http:\/\/localhost:\d+/.exec(output);
        if (found) resolve(found[0]);
      });
      server.on("close", () => reject(new Error(`Vite ended: ${output}`)));
    });
    await chat({ url });
  } finally {
    server.kill();
  }
});

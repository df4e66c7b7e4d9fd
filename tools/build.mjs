// `npm run build`: the crate -> wasm -> dist/, and the pages' scripts -> out/pages/. What the wasm is made with stands in
// wasm-pack.toml. Only Node's built-ins are imported at the top: npm packages are there after set-up.
//
//   node tools/build.mjs [--deny-warnings]

import { spawn } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { setUpBuild } from "./setup.mjs";
import { Trouble, fileHash, isMain, isStamped, main, root, run, stamp, textHash } from "./shell.mjs";
import { bytesPerCrate, withoutCustomSections } from "./wasm-sections.mjs";

const DIST = join(root, "dist");
const PAGES = join(root, "out", "pages");
const WASM = join(root, "out", "wasm");
const TYPES = join(root, "out", "types");

/** Builds everything. `denyWarnings`: a warning of the crate's own fails the build. */
export async function build({ denyWarnings = false } = {}) {
  const setup = await setUpBuild();
  const recipe = await readRecipe();
  const compiled = await compileCrate(recipe, setup.toolchain, denyWarnings);
  await bindAndOptimize(recipe, compiled, setup.wasmBindgen);
  updateDeclarations(recipe, denyWarnings);
  await checkTypes();
  await replaceFolder(DIST, async (folder) => {
    for (const name of readdirSync(WASM).filter((name) => /\.(js|wasm)$/.test(name))) {
      copyFileSync(join(WASM, name), join(folder, name));
    }
    await bundleLibrary(recipe, folder);
    await writeDeclarations(folder);
  });
  await replaceFolder(PAGES, async (folder) => {
    await bundlePages(folder);
    copyPdf(join(folder, "pdf"));
  });
  reportSizes(recipe);
}

/** Fills a new folder and puts it in the place of the old one: what failed or runs twice at once leaves no mixture. */
async function replaceFolder(folder, fill) {
  const work = join(root, "out", `${basename(folder)}-${process.pid}`);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  try {
    await fill(work);
    rmSync(folder, { recursive: true, force: true });
    renameSync(work, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** wasm-pack.toml. */
export async function readRecipe() {
  const { parse } = await import("smol-toml");
  return parse(readFileSync(join(root, "wasm-pack.toml"), "utf8"));
}

/** cargo build: returns the path of the .wasm that rustc wrote. */
async function compileCrate({ build }, toolchain, denyWarnings) {
  const env = { ...process.env, ...toolchain.env };
  // Before the flags are made: they name the folders that the sources are fetched into.
  await run(toolchain.cargo, ["fetch", "--locked", "--quiet", "--target", build.target], { env });
  env.CARGO_ENCODED_RUSTFLAGS = [...build.rustflags, ...remapFlags(toolchain)].join("\x1f");
  const args = ["build", "--locked", "--package", "inkstone", "--lib", "--target", build.target];
  args.push("--profile", build.profile, ...toolchain.args);
  if (build.features.length > 0) args.push("--features", build.features.join(","));
  if (!build["default-features"]) args.push("--no-default-features");
  await cargo(toolchain.cargo, args, env, denyWarnings);
  const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
  return join(target, build.target, build.profile, "inkstone.wasm");
}

/** Panic messages name source files: so that they name the same ones on every machine, and none of its folders. */
function remapFlags(toolchain) {
  const home = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  const registry = join(home, "registry", "src");
  const mirrors = existsSync(registry) ? readdirSync(registry).map((name) => join(registry, name)) : [];
  const folders = [
    [home, "/cargo"],
    [root, "/inkstone"],
    [join(toolchain.sysroot, "lib/rustlib/src/rust"), "/rust"],
    ...mirrors.map((folder) => [folder, "/crates"]),
  ];
  return folders.map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
}

/** Runs cargo with its messages passed through, watching them for warnings about our own crate. */
async function cargo(program, args, env, denyWarnings) {
  // Progress bars need a terminal: without one cargo prints the same messages, which can then be read here too.
  const child = spawn(program, args, { cwd: root, env, stdio: ["ignore", "inherit", denyWarnings ? "pipe" : "inherit"] });
  let messages = "";
  child.stderr?.on("data", (chunk) => {
    messages += chunk;
    process.stderr.write(chunk);
  });
  const code = await new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new Trouble(`Could not start ${program}: ${error.message}.`)));
    child.on("close", resolve);
  });
  if (code !== 0) throw new Trouble(`The crate does not compile for wasm32: see the messages above.`);
  if (denyWarnings && messages.includes("warning: `inkstone`")) throw new Trouble("The wasm build has warnings, see above.");
}

/** wasm-bindgen, then wasm-opt: out/wasm/ holds the module and its JavaScript. Skipped while nothing has changed. */
async function bindAndOptimize(recipe, compiled, wasmBindgen) {
  const key = textHash(JSON.stringify([await fileHash(compiled), recipe, readFileSync(import.meta.filename, "utf8")]));
  if (isStamped(join(WASM, ".complete"), key)) return;
  await replaceFolder(WASM, async (folder) => {
    const name = recipe["wasm-bindgen"]["out-name"];
    const bindgen = ["--target", recipe["wasm-bindgen"].target, "--out-dir", folder, "--out-name", name];
    await run(wasmBindgen, [...bindgen, compiled]);
    const module = join(folder, `${name}_bg.wasm`);
    const optimizer = join(root, "node_modules", "binaryen", "bin", "wasm-opt");
    // -g keeps the names, from which the report is made; they are dropped right after.
    const named = join(folder, "named");
    await run(process.execPath, [optimizer, module, "-g", ...recipe["wasm-opt"].flags, "-o", named]);
    const bytes = readFileSync(named);
    writeFileSync(join(folder, "crates.json"), JSON.stringify(bytesPerCrate(bytes)));
    writeFileSync(module, withoutCustomSections(bytes));
    rmSync(named);
    stamp(join(folder, ".complete"), key);
  });
}

/** The worker's view of the module, as wasm-bindgen tells it: www/src/internal/, where git keeps it. */
function updateDeclarations(recipe, denyWarnings) {
  const name = `${recipe["wasm-bindgen"]["out-name"]}.d.ts`;
  const [own] = readFileSync(join(WASM, name), "utf8").split("export type InitInput");
  const text = `${own
    .split("\n")
    // Of no use here, or beyond our language level.
    .filter((line) => !/\[Symbol\.dispose\]|private constructor|^\/\* (tslint|eslint)/.test(line))
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim()}\n\nexport default function init(options: { module_or_path: URL }): Promise<unknown>;\n`;
  const path = join(root, "www", "src", "internal", name);
  const head = "// Written by tools/build.mjs from what wasm-bindgen says of src/web: change that.\n";
  if (existsSync(path) && readFileSync(path, "utf8") === head + text) return;
  writeFileSync(path, head + text);
  if (denyWarnings) throw new Trouble(`www/src/internal/${name} was out of date. It is written anew: commit it.`);
}

/** The whole of www/src against tsconfig.json. */
async function checkTypes() {
  await run(process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), "--project", root]);
}

/** TypeScript -> ES modules. Readable: nothing is minified. */
async function bundle(options) {
  const esbuild = await import("esbuild");
  const common = { bundle: true, format: "esm", target: "es2022", charset: "utf8", logLevel: "warning", absWorkingDir: root };
  await esbuild.build({ ...common, ...options });
}

/** The package: the entry and the worker. */
function bundleLibrary(recipe, outdir) {
  const wasm = `./${recipe["wasm-bindgen"]["out-name"]}.js`;
  const entryPoints = { inkstone: "www/src/public/index.ts", worker: "www/src/internal/worker.ts" };
  return bundle({ entryPoints, outdir, plugins: [leaveOut(/\/inkstone_wasm\.js$/, wasm)] });
}

/** The pages: www/src/<folder>/main.ts becomes <folder>.js, which imports the package as any site would. */
function bundlePages(outdir) {
  const pages = readdirSync(join(root, "www", "src"))
    .map((folder) => [folder, `www/src/${folder}/main.ts`])
    .filter(([, entry]) => existsSync(join(root, entry)));
  const plugins = [leaveOut(/^inkstone$/, "../dist/inkstone.js")];
  return bundle({ entryPoints: Object.fromEntries(pages), outdir, sourcemap: true, plugins });
}

/**
 * What the search page fetches when it is given the first PDF file: pdf.js as its makers have built it, and the tables of
 * letters of old files. No part of the package.
 */
function copyPdf(folder) {
  const from = join(root, "node_modules", "pdfjs-dist");
  mkdirSync(folder);
  for (const path of ["build/pdf.min.mjs", "build/pdf.worker.min.mjs", "LICENSE"]) {
    copyFileSync(join(from, path), join(folder, basename(path)));
  }
  cpSync(join(from, "cmaps"), join(folder, "cmaps"), { recursive: true });
}

/** An esbuild plugin: imports that match stay imports, of this address. */
function leaveOut(filter, path) {
  return { name: "leave out", setup: (build) => build.onResolve({ filter }, () => ({ path, external: true })) };
}

/** inkstone.d.ts and the declarations that it draws on. */
async function writeDeclarations(folder) {
  rmSync(TYPES, { recursive: true, force: true });
  const emit = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--rootDir", "www/src", "--outDir", TYPES];
  await run(process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), "--project", root, ...emit]);
  copyReachable("public/index.d.ts", join(folder, "types"));
  writeFileSync(join(folder, "inkstone.d.ts"), 'export * from "./types/public/index.js";\n');
}

/** Copies a declaration and all that it imports, directly or not. */
function copyReachable(entry, folder) {
  const copied = new Set();
  const visit = (path) => {
    if (copied.has(path)) return;
    copied.add(path);
    const from = join(TYPES, path);
    // Hand-written declarations are inputs of the compiler, which does not copy them.
    const source = existsSync(from) ? from : join(root, "www", "src", path);
    const target = join(folder, path);
    mkdirSync(join(target, ".."), { recursive: true });
    copyFileSync(source, target);
    for (const [, specifier] of readFileSync(source, "utf8").matchAll(/(?:from|import\()\s*"(\.{1,2}\/[^"]+)\.js"/g)) {
      visit(join(path, "..", `${specifier}.d.ts`));
    }
  };
  visit(entry);
}

/** Prints what dist/ weighs, by file and by crate. Over the budget is a failure. */
function reportSizes({ budget, ...recipe }) {
  const size = (bytes) => bytes.toLocaleString("en").padStart(12);
  console.log(`\n${"".padEnd(28)}${"bytes".padStart(12)}${"gzipped".padStart(12)}`);
  let total = 0;
  for (const name of readdirSync(DIST).filter((name) => /\.(js|wasm)$/.test(name))) {
    const bytes = readFileSync(join(DIST, name));
    const gzipped = gzipSync(bytes, { level: 9 }).length;
    total += gzipped;
    console.log(`${name.padEnd(28)}${size(bytes.length)}${size(gzipped)}`);
  }
  const limit = budget["gzip-bytes"];
  console.log(`${"together".padEnd(40)}${size(total)}  of ${limit.toLocaleString("en")} allowed`);

  const crates = JSON.parse(readFileSync(join(WASM, "crates.json"), "utf8"));
  const rest = crates.slice(SHOWN_CRATES).reduce((sum, [, bytes]) => sum + bytes, 0);
  console.log("\nBytes of wasm by crate, before compression:");
  for (const [crate, bytes] of crates.slice(0, SHOWN_CRATES)) console.log(`  ${crate.padEnd(26)}${size(bytes)}`);
  console.log(`  ${"(the others)".padEnd(26)}${size(rest)}\n`);
  if (total > limit) throw new Trouble(`The download is ${total - limit} bytes over the budget of wasm-pack.toml.`);
}
const SHOWN_CRATES = 16;

if (isMain(import.meta.url)) {
  await main(() => build({ denyWarnings: process.argv.includes("--deny-warnings") }));
}

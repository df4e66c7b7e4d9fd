// `npm test`: sets up what is missing and runs every check. A suite that could not run is a failure, never a skip.
//
//   npm test                      everything
//   npm test -- STAGE...          only these stages (their names are printed as they run)

import { spawn } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assets, fetchAsset } from "./assets.mjs";
import { build, readRecipe } from "./build.mjs";
import { setUpBuild, setUpTests } from "./setup.mjs";
import { Trouble, cacheFolder, isMain, main, root } from "./shell.mjs";

/** The suites of `cargo test` that compute on a device: they run on two Vulkan drivers. */
const GPU_SUITES = ["ops", "quants", "models", "generate", "encoders"];
/** Those of them that run whole models: they run once more with the kernels that a GPU gets. */
const MODEL_SUITES = ["models", "generate", "encoders"];
/** Tests of how files are read, and of what the host makes of a measurement: no driver says otherwise than another. */
const HOST_ONLY = ["gguf_files", "models::bad::", "measuring_makes_the_quicker_choice", "rounding_is_tried"];
/** Adapters that compute on the CPU have the same kernels at every tier, and `smollm2_answers` runs them. */
const SAME_TIERS = ["smollm2_says_the_same_on_every_tier"];
/** The kernels of GPUs, whatever the family: once for the whole model; `by_small_integers` has them on every driver. */
const SAME_FAMILIES = ["smollm2_with_products_of_eight_bits"];
/** Cases whose kernels other cases run, too: on the second driver it is one for each kind of layer. */
const SAME_LAYERS = ["logits_of_other_families"];
/** No test may take longer. */
const TEST_SECONDS = 900;

let setup;

/** Name -> what is run. Each resolves to its outcome: `{ passed, failed, skipped, closing }`. */
const STAGES = {
  "set-up": async () => {
    setup = { ...(await setUpBuild()), ...(await setUpTests()) };
    for (const name of Object.keys(assets)) await fetchAsset(name);
    return single();
  },
  fmt: () => command("cargo", ["fmt", "--check"]),
  clippy: () => command("cargo", ["clippy", "--locked", "--all-targets", "--", "-D", "warnings"]),
  // Lavapipe: f16, subgroups of 8, bindings of at most 128 MiB. Shows what tests print: numbers that are asked for.
  native: () => cargoTest(["--", "--show-output", ...without(SAME_TIERS)], setup.lavapipe),
  // Made for GPUs, these kernels are slow on a CPU: the longest test runs with the others only.
  "native-generic": () => {
    const skipped = without(["smollm2_answers", ...HOST_ONLY, ...SAME_FAMILIES]);
    return cargoTest([...only(MODEL_SUITES), "--", ...skipped], setup.lavapipe, { INKSTONE_FAMILY: "generic" });
  },
  // SwiftShader: no f16, subgroups of 4; what the browser tests compute on.
  swiftshader: () => {
    const skipped = without([...HOST_ONLY, ...SAME_TIERS, ...SAME_FAMILIES, ...SAME_LAYERS]);
    return cargoTest([...only(GPU_SUITES), "--", ...skipped], setup.swiftshader);
  },
  wasm: async () => {
    await build({ denyWarnings: true });
    // Debian's second compiler has no clippy: there the compiler's own warnings are all that can be had.
    if (!setup.toolchain.linting) return single();
    const { build: recipe } = await readRecipe();
    const args = ["clippy", "--locked", "--package", "inkstone", "--lib", "--target", recipe.target, "--", "-D", "warnings"];
    return command("cargo", args, { CARGO_ENCODED_RUSTFLAGS: recipe.rustflags.join("\x1f") });
  },
  shaders: async () => {
    rmSync(join(root, "out", "shaders"), { recursive: true, force: true });
    const dump = ["run", "--locked", "--quiet", "--example", "shaders", "--", "--dump", "out/shaders"];
    await command("cargo", dump, driverEnvironment(setup.lavapipe));
    return nodeTest(["tests/tint.test.mjs"]);
  },
  tools: () => nodeTest(testFiles("tests/tools")),
  web: () => nodeTest(testFiles("tests/web")),
  package: () => nodeTest(testFiles("tests/package")),
};

/** Runs one stage: whatever goes wrong in it is its failure, and the next one runs all the same. */
export async function runStage(name, stage) {
  console.log(`\n== ${name}`);
  const begun = performance.now();
  let outcome;
  try {
    outcome = await stage();
    if (outcome.passed + outcome.failed === 0) fail(outcome, "no test ran");
    if (outcome.skipped > 0) fail(outcome, `${outcome.skipped} skipped: a test that can't run is a failure`);
  } catch (error) {
    outcome = { passed: 0, failed: 1, skipped: 0, closing: [error instanceof Trouble ? error.message : error.stack] };
    console.error(outcome.closing[0]);
  }
  const seconds = (performance.now() - begun) / 1000;
  console.log(`-- ${name}: ${outcome.failed > 0 ? "FAILED" : "ok"}, ${seconds.toFixed(1)} s`);
  return { name, seconds, ...outcome };
}

function fail(outcome, why) {
  outcome.failed += 1;
  outcome.closing.push(why);
}

/** Prints the closing lines of every runner and the sums. Returns the number of failures. */
function summarize(results) {
  console.log("\n== summary");
  for (const { name, seconds, failed, closing } of results) {
    console.log(`${failed > 0 ? "FAILED" : "ok    "} ${name.padEnd(12)} ${seconds.toFixed(1).padStart(8)} s`);
    for (const line of closing) console.log(`         ${line}`);
  }
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  console.log(`\n${sum("passed")} passed, ${sum("failed")} failed`);
  return sum("failed");
}

/** The outcome of a check that is one test by itself. */
const single = () => ({ passed: 1, failed: 0, skipped: 0, closing: [] });

/** A program that succeeds or fails as a whole. */
async function command(program, args, env) {
  const { code } = await watch(program, args, env);
  if (code !== 0) throw new Trouble(`${[program, ...args].join(" ")} ended with status ${code}.`);
  return single();
}

/** The variables that make this Vulkan driver the only one, by the loader's old name and its new one. */
function driverEnvironment(driver) {
  // Drivers complain on every device where a desktop's variable is not set.
  return { VK_ICD_FILENAMES: driver, VK_DRIVER_FILES: driver, XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? tmpdir() };
}

const only = (suites) => suites.flatMap((suite) => ["--test", suite]);
/** The options that leave out every test with one of these in its name. */
const without = (names) => names.flatMap((name) => ["--skip", name]);

export async function cargoTest(args, driver, more = {}) {
  const env = { ...driverEnvironment(driver), INKSTONE_CACHE: cacheFolder, ...more };
  const { code, output } = await watch("cargo", ["test", "--locked", "--no-fail-fast", ...args], env);
  const pattern = /^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored;.*$/gm;
  return tally(code, [...output.matchAll(pattern)].map(([line, ...counts]) => [line, ...counts.map(Number)]));
}

export async function nodeTest(files) {
  if (files.length === 0) throw new Trouble("There is no test file.");
  // One file at a time: browsers and bundlers would only compete for the cores, and timings would mean nothing.
  const options = ["--test", "--test-reporter=spec", "--test-concurrency=1", `--test-timeout=${TEST_SECONDS * 1000}`];
  const { code, output } = await watch(process.execPath, [...options, ...files], { INKSTONE_CACHE: cacheFolder });
  const counts = Object.fromEntries([...output.matchAll(/^ℹ (\w+) (\d+)$/gm)].map(([, key, n]) => [key, Number(n)]));
  const { pass = 0, fail: failures = 0, cancelled = 0, skipped = 0, todo = 0 } = counts;
  const line = `tests ${counts.tests}, pass ${pass}, fail ${failures}, cancelled ${cancelled}, skipped ${skipped}`;
  return tally(code, "tests" in counts ? [[line, pass, failures + cancelled, skipped + todo]] : []);
}

/** Adds up `[closing line, passed, failed, skipped]`; a runner that failed without a failed test counts as one. */
function tally(code, lines) {
  const sum = (i) => lines.reduce((total, line) => total + line[i], 0);
  const outcome = { passed: sum(1), failed: sum(2), skipped: sum(3), closing: lines.map(([line]) => line) };
  if (code !== 0 && outcome.failed === 0) fail(outcome, `the runner ended with status ${code}`);
  return outcome;
}

/** Runs a program, passing its output through and keeping it: `{ code, output }`. */
function watch(program, args, env = {}) {
  const child = spawn(program, args, { cwd: root, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    output += text;
    process.stdout.write(text);
  });
  child.stderr.setEncoding("utf8").on("data", (text) => process.stderr.write(text));
  return new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new Trouble(`Could not start ${program}: ${error.message}.`)));
    child.on("close", (code, signal) => resolve({ code: code ?? signal, output }));
  });
}

/** The test files of a folder, in a fixed order. */
function testFiles(folder) {
  if (!existsSync(join(root, folder))) return [];
  const names = readdirSync(join(root, folder)).filter((name) => name.endsWith(".test.mjs"));
  return names.sort().map((name) => join(folder, name));
}

/** `npm test`. */
async function all() {
  const wanted = process.argv.slice(2);
  const unknown = wanted.find((name) => !(name in STAGES));
  if (unknown) throw new Trouble(`There is no stage "${unknown}": choose from ${Object.keys(STAGES).join(", ")}.`);
  const names = Object.keys(STAGES).filter((name) => name === "set-up" || wanted.length === 0 || wanted.includes(name));

  const results = [];
  for (const name of names) {
    const result = await runStage(name, STAGES[name]);
    results.push(result);
    if (name === "set-up" && result.failed > 0) break; // nothing can run without it
  }
  const failed = summarize(results);
  process.exitCode = failed > 0 ? 1 : 0;
}

if (isMain(import.meta.url)) await main(all);

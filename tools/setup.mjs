// Puts in place what a build or a test run needs and a stock Debian or Ubuntu with Node, Rust and Python lacks.
// Only Node's built-ins. Each step first looks whether it is done, so a second run costs a moment.

import { existsSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { Trouble, ask, cacheFolder, isStamped, root, run, stamp, textHash } from "./shell.mjs";

const WASM_TARGET = "wasm32-unknown-unknown";
/** Seconds to wait for rustup's servers, which some networks can't reach, before Debian's compiler is taken instead. */
const RUSTUP_SECONDS = 20;

/** For `npm run build` and `npm start`: programs, npm packages, the wasm toolchain. Returns what the build works with. */
export async function setUpBuild() {
  checkNode();
  await installPackages({ cc: ["gcc", "libc6-dev"], python3: ["python3"], "python3 -m pip": ["python3-pip"] });
  if (!onPath("cargo")) throw new Trouble("Rust is missing. Install it as https://rustup.rs says, then run this again.");
  await installNpmPackages();
  const toolchain = await wasmToolchain();
  return { toolchain, wasmBindgen: await wasmBindgen() };
}

/** For `npm test`, besides: a Vulkan driver that needs no GPU, and a browser. Returns their paths. */
export async function setUpTests() {
  const found = { browser: chromium() !== undefined, driver: swiftshader() !== undefined };
  const trouble = browserTrouble({ ...found, named: process.env.CHROMIUM, system: systemName() });
  if (trouble) throw new Trouble(trouble);
  await installPackages({ libvulkan: ["libvulkan1"], lavapipe: ["mesa-vulkan-drivers"], chromium: ["chromium"] });
  return { lavapipe: lavapipe(), swiftshader: swiftshader(), chromium: chromium() };
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Trouble(`Node ${process.versions.node} is too old: install Node 20.19 or newer.`);
  }
}

// ---- system packages

/** How the absence of each thing that apt can bring is noticed. */
const PRESENT = {
  cc: () => onPath("cc"),
  python3: () => onPath("python3"),
  "python3 -m pip": () => ask("python3", ["-m", "pip", "--version"]) !== undefined,
  libvulkan: () => (ask("/sbin/ldconfig", ["-p"]) ?? "").includes("libvulkan.so.1"),
  lavapipe: () => lavapipe() !== undefined,
  chromium: () => chromium() !== undefined && swiftshader() !== undefined,
  "wasm toolchain": () => debianToolchain() !== undefined,
};

/** Installs the packages of those things that are absent: `{ thing: [package, ...] }`. */
async function installPackages(wanted) {
  const absent = Object.keys(wanted).filter((thing) => !PRESENT[thing]());
  if (absent.length === 0) return;
  const packages = absent.flatMap((thing) => wanted[thing]);
  const install = ["install", "-y", "--no-install-recommends", ...packages];
  if (!onPath("apt-get")) throw new Trouble(`Please install: ${absent.join(", ")} (on Debian: ${packages.join(" ")}).`);
  if (process.getuid() !== 0) {
    throw new Trouble(`Some system packages are missing. Run this, then try again:\n
  sudo apt-get update && sudo apt-get ${install.join(" ")}`);
  }
  console.log(`Installing system packages: ${packages.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const stdio = ["ignore", "ignore", "inherit"];
  await run("apt-get", ["update"], { env, stdio });
  await run("apt-get", install, { env, stdio });
  const still = absent.filter((thing) => !PRESENT[thing]());
  if (still.length > 0) throw new Trouble(`apt-get installed ${packages.join(" ")}, but ${still.join(", ")} can't be found.`);
}

/** The path of a program on PATH, or undefined. */
function onPath(program) {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path));
}

/** Mesa's Vulkan driver that computes on the CPU: the path of its manifest. */
function lavapipe() {
  const folder = "/usr/share/vulkan/icd.d";
  const name = existsSync(folder) && readdirSync(folder).find((name) => /^lvp_icd.*\.json$/.test(name));
  return name ? join(folder, name) : undefined;
}

/** The browser of the tests: CHROMIUM, or one that is installed. Undefined where nothing is. */
export function chromium() {
  const named = process.env.CHROMIUM;
  return (named ? [named] : ["/usr/bin/chromium", "/opt/google/chrome/chrome"]).find((path) => existsSync(path));
}

/** What a person must do for a browser, in a sentence; undefined if there is one or apt brings it. */
export function browserTrouble({ named, browser, driver, system }) {
  const way = "set CHROMIUM to the path of a Chrome or Chromium, such as /opt/google/chrome/chrome";
  if (named && !browser) return `CHROMIUM names ${named}, where nothing is: ${way}.`;
  if (named && !driver) return `Beside ${named} lies no vk_swiftshader_icd.json, which the tests compute on: ${way}.`;
  if (system !== "ubuntu" || (browser && driver)) return undefined;
  return `Ubuntu's chromium is a stub for a snap, which the tests can't drive: install another (google.com/chrome), and ${way}.`;
}

/** The system's name for itself: "debian", "ubuntu", ... */
function systemName() {
  const file = "/etc/os-release";
  const line = existsSync(file) && readFileSync(file, "utf8").match(/^ID="?([\w.-]+)"?$/m);
  return line ? line[1] : "";
}

/** The Vulkan driver that comes with the browser and computes on the CPU: the path of its manifest. */
function swiftshader() {
  const folders = [dirname(chromium() ?? "/"), "/usr/lib/chromium", "/opt/google/chrome"];
  return folders.map((folder) => join(folder, "vk_swiftshader_icd.json")).find((path) => existsSync(path));
}

// ---- npm packages

async function installNpmPackages() {
  const folder = join(root, "node_modules");
  const wanted = textHash(["package.json", "package-lock.json"].map((name) => readFileSync(join(root, name))).join());
  const done = join(folder, ".complete");
  if (isStamped(done, wanted)) return;
  console.log("Installing npm packages");
  await run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
  stamp(done, wanted);
}

// ---- the wasm toolchain

/**
 * How to call cargo for wasm32: `{ cargo, env, args, sysroot, linting }`. rustup's target where it can be had; otherwise
 * Debian's second compiler, kept for its browsers, which has the library source: std is then built with the crate.
 */
async function wasmToolchain() {
  if (hasWasmTarget()) return rustupToolchain();
  const debian = debianToolchain();
  if (debian) return debian;
  if (onPath("rustup")) {
    console.log(`Adding the ${WASM_TARGET} target`);
    ask("rustup", ["target", "add", WASM_TARGET], { timeout: RUSTUP_SECONDS * 1000 });
    if (hasWasmTarget()) return rustupToolchain();
    console.log("rustup's servers don't answer: taking Debian's compiler for wasm32.");
  }
  const packages = ["rustc-web", "cargo-web", "libstd-rust-web-dev", "rust-web-src", "lld-19"];
  await installPackages({ "wasm toolchain": packages });
  return debianToolchain();
}

function hasWasmTarget() {
  const libraries = ask("rustc", ["--print", "target-libdir", "--target", WASM_TARGET]);
  return libraries !== undefined && existsSync(libraries);
}

function rustupToolchain() {
  const linting = ask("cargo", ["clippy", "--version"]) !== undefined;
  return { cargo: "cargo", env: {}, args: [], sysroot: ask("rustc", ["--print", "sysroot"]), linting };
}

function debianToolchain() {
  const [cargo, rustc, linker] = ["/usr/bin/cargo", "/usr/bin/rustc", "/usr/bin/wasm-ld-19"];
  const sysroot = existsSync(rustc) ? ask(rustc, ["--print", "sysroot"]) : undefined;
  const source = sysroot && join(sysroot, "lib/rustlib/src/rust/library/std");
  if (!source || ![cargo, linker, source].every((path) => existsSync(path))) return undefined;
  const env = { RUSTC: rustc, RUSTC_BOOTSTRAP: "1", CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: linker };
  return { cargo, env, args: ["-Z", "build-std=std,panic_abort"], sysroot, linting: false };
}

/** The exact version of a crate in Cargo.lock. */
export function lockedVersion(crate) {
  const lock = readFileSync(join(root, "Cargo.lock"), "utf8");
  const version = lock.match(new RegExp(`name = "${crate}"\\nversion = "([^"]+)"`))?.[1];
  if (!version) throw new Trouble(`Cargo.lock holds no ${crate}.`);
  return version;
}

/** wasm-bindgen's command line program, which must be of exactly the crate's version: its path. */
async function wasmBindgen() {
  const version = lockedVersion("wasm-bindgen");
  const folder = join(cacheFolder, `wasm-bindgen-${version}`);
  const program = join(folder, "bin", "wasm-bindgen");
  if (ask(program, ["--version"])?.includes(version)) return program;
  console.log(`Installing wasm-bindgen ${version} (some minutes, once on this machine)`);
  mkdirSync(folder, { recursive: true });
  const install = ["install", "wasm-bindgen-cli", "--version", version, "--root", folder, "--quiet"];
  // Outside the checkout, whose profiles and target folder are not for it.
  try {
    await run("cargo", [...install, "--locked"], { cwd: folder });
  } catch {
    // Its lock file names newest versions, which a mirror of the registry may not have yet; older ones do as well.
    console.log("It can't be built as its authors locked it: taking the versions that the registry has.");
    await run("cargo", install, { cwd: folder });
  }
  return program;
}

// What every tool here needs: where things are kept, how a program is run, how a file is fingerprinted.
// Only Node's built-ins: these scripts run before `npm ci` has.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Where slow tools and large downloads are kept, so that a clean checkout does not pay for them again. */
export const cacheFolder = process.env.INKSTONE_CACHE || join(homedir(), ".cache", "inkstone");

/** A failure whose message already tells the person what to do: printed without a stack. */
export class Trouble extends Error {}

/** Runs a program with its output passed through. Rejects with a Trouble when it fails. */
export function run(program, args, options = {}) {
  const child = spawn(program, args, { cwd: root, stdio: "inherit", ...options });
  return new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new Trouble(`Could not start ${program}: ${error.message}.`)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve();
      else reject(new Trouble(`${[program, ...args].join(" ")} ended with ${signal ?? `status ${code}`}.`));
    });
  });
}

/** Runs a short program silently: its trimmed standard output, or undefined when it is absent, fails or takes too long. */
export function ask(program, args, options = {}) {
  const answer = spawnSync(program, args, { cwd: root, encoding: "utf8", maxBuffer: 64 << 20, ...options });
  return answer.error || answer.status !== 0 ? undefined : answer.stdout.trim();
}

/** The sha256 of a file, in hexadecimal. */
export async function fileHash(path) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}

/** The sha256 of a text, in hexadecimal. */
export function textHash(text) {
  return createHash("sha256").update(text).digest("hex");
}

/** Whether the stamp file holds this content: work whose inputs it names need not be done again. */
export function isStamped(path, content) {
  return existsSync(path) && readFileSync(path, "utf8") === content;
}

/** Writes a stamp file. Call it last, when the work it vouches for is complete. */
export function stamp(path, content) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** Whether the module was started as a program, rather than imported. */
export function isMain(moduleUrl) {
  return process.argv[1] !== undefined && fileURLToPath(moduleUrl) === process.argv[1];
}

/** Runs the body of a program: a Trouble prints its message, anything else its stack; both end with status 1. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    console.error(error instanceof Trouble ? `\n${error.message}` : error);
    process.exit(1);
  }
}

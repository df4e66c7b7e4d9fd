// Every kernel variant, as a browser gets it, through Tint: Chromium's own shader compiler, here on Dawn's null backend,
// which needs no GPU. Shader modules and whole pipelines, with the layouts that the engine makes and on devices that
// have no more than the variant's tier promises.
//
// The variants come from `cargo run --example shaders -- --dump out/shaders`, which writes one .wgsl file each and
// variants.json: [{ label, file, tier: "base" | "subgroups" | "f16", overrides: { name: number },
//                   bindings: ["read" | "write", ...] (group 0), params: boolean (a uniform buffer in group 1) }].

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { create, globals } from "webgpu";
import { root } from "../tools/shell.mjs";

Object.assign(globalThis, globals);

const FOLDER = join(root, "out", "shaders");
const FEATURES = { base: [], subgroups: ["subgroups"], f16: ["subgroups", "shader-f16"] };
// Kept alive: the device dies with the object that made it.
const gpu = create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]);
const devices = {};
let variants;

before(async () => {
  const list = join(FOLDER, "variants.json");
  assert.ok(existsSync(list), "Dump the variants first: cargo run --example shaders -- --dump out/shaders");
  variants = JSON.parse(readFileSync(list, "utf8")).map((variant) => ({
    ...variant,
    source: readFileSync(join(FOLDER, variant.file), "utf8"),
  }));
  for (const [tier, requiredFeatures] of Object.entries(FEATURES)) {
    // The default limits are core WebGPU's: what the Base tier promises and no tier exceeds.
    devices[tier] = await (await gpu.requestAdapter()).requestDevice({ requiredFeatures });
  }
});

/** What Tint and Dawn have against a variant: one line each. */
async function objections({ label, source, tier, overrides, bindings, params }) {
  const device = devices[tier];
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ label, code: source });
  const { messages } = await module.getCompilationInfo();
  const lines = source.split("\n");
  const found = messages.map((m) => `${m.type}: ${m.message} at ${m.lineNum}:${m.linePos}: ${lines[m.lineNum - 1]?.trim()}`);
  if (messages.every(({ type }) => type !== "error")) {
    const entry = (buffer) => (type, binding) => ({ binding, visibility: 4 /* compute */, buffer: { type: buffer(type) } });
    const storage = bindings.map(entry((use) => (use === "read" ? "read-only-storage" : "storage")));
    const bindGroupLayouts = [device.createBindGroupLayout({ entries: storage })];
    if (params) bindGroupLayouts.push(device.createBindGroupLayout({ entries: [0].map(entry(() => "uniform")) }));
    device.createComputePipeline({
      layout: device.createPipelineLayout({ bindGroupLayouts }),
      compute: { module, entryPoint: "main", constants: overrides },
    });
  }
  const error = await device.popErrorScope();
  if (error && found.length === 0) found.push(error.message);
  return found;
}

test("Tint compiles every variant without a message", async (t) => {
  assert.ok(variants.length > 0, "there are no variants");
  const failures = [];
  for (const variant of variants) {
    const found = await objections(variant);
    if (found.length > 0) failures.push(`${variant.label} (${variant.file})\n  ${found.join("\n  ")}`);
  }
  t.diagnostic(`${variants.length} variants`);
  assert.equal(failures.length, 0, `\n${failures.join("\n")}`);
});

test("no label is used twice", () => {
  assert.equal(new Set(variants.map(({ label }) => label)).size, variants.length);
});

test("every shader file and every part is in some variant", () => {
  for (const folder of ["shaders", "shaders/parts"]) {
    for (const name of readdirSync(join(root, folder)).filter((name) => name.endsWith(".wgsl"))) {
      // Kernels hold their files without comments and indentation.
      const text = readFileSync(join(root, folder, name), "utf8").replace(/\/\/.*$/gm, "").replace(/^ +/gm, "").trim();
      assert.ok(variants.some(({ source }) => source.includes(text)), `${folder}/${name} is in no variant`);
    }
  }
});

test("the check itself: what Chromium refuses is refused here", async () => {
  const kernel = (body, head = "") => `${head}
    @group(0) @binding(0) var<storage, read_write> y: array<f32>;
    override N: u32 = 64;
    @compute @workgroup_size(N) fn main(@builtin(local_invocation_index) i: u32) { ${body} }`;
  const variant = { label: "probe", tier: "base", overrides: {}, bindings: ["write"], params: false };
  const refusal = async (source, change = {}) => (await objections({ ...variant, source, ...change })).join();

  assert.equal(await refusal(kernel("y[i] = 1.0;")), "");
  assert.match(await refusal(kernel("y[i] = nothing;")), /unresolved value 'nothing'/);
  assert.match(await refusal(kernel("if y[i] > 0.0 { workgroupBarrier(); }")), /uniform control flow/);
  assert.match(await refusal(kernel("y[i] = subgroupAdd(1.0);", "enable subgroups;")), /not allowed|not supported|subgroups/);
  assert.equal(await refusal(kernel("y[i] = subgroupAdd(1.0);", "enable subgroups;"), { tier: "subgroups" }), "");
  assert.match(await refusal(kernel("y[i] = 1.0;"), { overrides: { N: 512 } }), /workgroup/i);
  assert.match(await refusal(kernel("y[i] = 1.0;"), { bindings: ["read"] }), /binding/i);
});

// The emoji model by `ImageModel` in Chromium: the same pictures as diffusers paints, from the same seeds.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { openBrowser } from "./browser.mjs";

const golden = (ending) => readFileSync(new URL(`../images/golden/emoji.${ending}`, import.meta.url));
const runs = JSON.parse(golden("json")).runs.filter((run) => run.of === "paint");
const numbers = golden("bin");

/** A finished picture of diffusers, [H, W, 3] in 0 to 1. */
function wanted({ results: { image } }) {
  assert.equal(image.type, "u16");
  const count = image.shape.reduce((a, b) => a * b);
  return Array.from({ length: count }, (_, i) => numbers.readUInt16LE(image.at + 2 * i) / 65535);
}

/** Peak signal-to-noise ratio, dB. */
function ratio(want, got) {
  assert.equal(got.length, want.length);
  const squares = want.reduce((sum, v, i) => sum + (v - got[i]) ** 2, 0);
  return -10 * Math.log10(Math.max(squares / want.length, 1e-20));
}

let browser, page;

before(async () => {
  const blank = "<!doctype html><link rel=icon href=data:,><title>t</title>";
  const routes = { "/blank": (_, response) => response.writeHead(200, { "content-type": "text/html" }).end(blank) };
  browser = await openBrowser({ routes });
  page = await browser.newPage("/blank");
  page.setDefaultTimeout(300_000);
});

after(() => browser?.close());

test("Chromium paints what diffusers paints, step by step", async () => {
  const run = runs.find(({ options }) => options.steps === 15 && options.seed === 7);
  const got = await page.evaluate(
    async ([prompt, options]) => {
      const { ImageModel } = await import("/dist/inkstone.js");
      const model = await ImageModel.load("/models/emoji/", { quantize: "none" });
      const steps = [];
      const painting = model.generate(prompt, { ...options, preview: "latent" });
      for await (const { step, preview, ms } of painting) steps.push([step, preview?.width, ms]);
      const [picture] = await painting;
      const pixels = Array.from(await picture.pixels());
      const { info } = model;
      await model.dispose();
      return { steps, pixels, info, timings: picture.timings, parameters: picture.parameters };
    },
    [run.prompt, run.options],
  );
  const decibels = ratio(wanted(run), got.pixels);
  const { stepMs, decodeMs, textMs } = got.timings;
  const median = stepMs.toSorted((a, b) => a - b)[Math.floor(stepMs.length / 2)];
  const bytes = Object.entries(got.info.bytes).map(([what, n]) => `${what} ${(n / 2 ** 20).toFixed(1)} MiB`);
  console.log(`"${run.prompt}", seed ${run.options.seed}: ${decibels.toFixed(1)} dB to diffusers on ${got.info.adapter}`);
  console.log(`text ${textMs} ms, a step ${median} ms, decoding ${decodeMs} ms; ${bytes.join(", ")}`);
  assert.ok(decibels >= 40, `${decibels} dB`);
  assert.deepEqual(
    got.steps.map(([step]) => step),
    Array.from({ length: 15 }, (_, i) => i + 1),
  );
  assert.ok(
    got.steps.slice(0, -1).every(([, width]) => width === 64),
    "every step but the last shows a preview",
  );
  assert.match(got.parameters, /^a red heart\nSteps: 15, Sampler: DPM\+\+ 2M, CFG scale: 3, Seed: 7, Size: 64x64/);
});

/** Kernels of GPUs, compiled by Tint, with what would be chosen if it were measured to be quicker. */
test("a choice that an earlier visit measured is made, and paints the same picture", async () => {
  const got = await page.evaluate(async () => {
    const { vendor, architecture, device, description } = (await navigator.gpu.requestAdapter()).info;
    const key = JSON.stringify([1, vendor, architecture, device, description, "base", "generic", "f32"]);
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("inkstone", { create: true });
    const stream = await (await folder.getFileHandle("choices.json", { create: true })).createWritable();
    await stream.write(JSON.stringify({ [key]: ["winograd"] }));
    await stream.close();
    const { ImageModel } = await import("/dist/inkstone.js?again");
    const painted = [];
    for (const family of ["software", "generic"]) {
      const model = await ImageModel.load("/models/emoji/", { quantize: "none", tier: "base", family, tune: true });
      const began = performance.now();
      const [picture] = await model.generate("a red heart", { steps: 1, seed: 7, preview: "none" });
      painted.push({ pixels: Array.from(await picture.pixels()), info: model.info, ms: performance.now() - began });
      await model.dispose();
    }
    return painted;
  });
  const [usual, chosen] = got;
  assert.deepEqual([usual, chosen].map(({ info }) => [info.family, info.choices]), [["software", []], ["generic", ["winograd"]]]); // prettier-ignore
  const decibels = ratio(usual.pixels, chosen.pixels);
  console.log(`${decibels.toFixed(1)} dB to the picture of other kernels; ${usual.ms} and ${chosen.ms} ms`);
  assert.ok(decibels >= 60 && decibels < 200, `${decibels} dB`);
});

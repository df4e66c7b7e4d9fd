// The parts of the paint page that need no browser: shapes, requests, the time left, what counts as a model.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { build } from "esbuild";

const ROOT = new URL("../../www/src/paint/", import.meta.url);
let asks, catalogue, pace, settings, shapes, start;

async function load(name) {
  const { outputFiles } = await build({
    entryPoints: [new URL(`${name}.ts`, ROOT).pathname], bundle: true, format: "esm", target: "es2022", write: false,
  }); // prettier-ignore
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`);
}

before(async () => {
  [asks, catalogue, pace, settings, shapes, start] = await Promise.all(
    ["asks", "catalogue", "pace", "settings", "shapes", "start"].map(load),
  );
});

const emoji = { defaultSize: [64, 64], multipleOf: 16 };
const large = { defaultSize: [512, 512], multipleOf: 64 };
const info = {
  ...large, defaultSteps: 25, defaultGuidance: 7.5, defaultSampler: "pndm", samplers: ["pndm", "euler"],
}; // prettier-ignore
const now = {
  steps: null, guidance: null, sampler: null, width: null, height: null, clipSkip: null, eta: null, seed: 10,
  locked: false, pictures: 1, strength: 0.6, variation: 0.2, variationSeed: null, preview: true, noise: "cpu",
}; // prettier-ignore
const words = { prompt: "a", negativePrompt: "" };

test("shapes have about the area of the model's own size, sides it can paint, and differ", () => {
  for (const canvas of [emoji, large, { defaultSize: [1024, 1024], multipleOf: 32 }]) {
    const all = shapes.shapesOf(canvas);
    const [width, height] = canvas.defaultSize;
    assert.ok(all.some((shape) => shape.name === "square" && shape.width === width && shape.height === height));
    for (const shape of all) {
      assert.ok(shape.width % canvas.multipleOf === 0 && shape.height % canvas.multipleOf === 0, JSON.stringify(shape));
      const area = (shape.width * shape.height) / (width * height);
      assert.ok(area > 0.7 && area < 1.3, `${shape.width} x ${shape.height}`);
    }
    const ratios = all.map((shape) => shape.width / shape.height);
    assert.deepEqual(
      [...new Set(ratios)].sort((a, b) => a - b),
      ratios,
      "narrow to wide, none twice",
    );
  }
  assert.equal(shapes.shapesOf(large).length, 5);
  // Fine steps are possible, but models know pictures whose sides are multiples of 64.
  assert.deepEqual(shapes.shapesOf({ ...large, multipleOf: 8 }), shapes.shapesOf(large));
});

test("the nearest shape is judged by ratio, and tall is as far from square as wide", () => {
  const all = shapes.shapesOf(large);
  assert.equal(shapes.nearest(all, 1000, 1000).name, "square");
  assert.equal(shapes.nearest(all, 4000, 3000).name, "landscape");
  assert.equal(shapes.nearest(all, 300, 4000).name, "tall");
  assert.equal(shapes.nearest([], 1, 1), undefined);
});

test("a side is a multiple, at least one step and at most what the library takes", () => {
  assert.equal(shapes.side(90, emoji), 96);
  assert.equal(shapes.side(1, emoji), 16);
  assert.equal(shapes.side(1e9, large), 4096);
  assert.equal(shapes.side(1e9, { ...large, multipleOf: 48 }), 4080);
});

test("a request holds the model's own where nothing was chosen, and only what was asked for", () => {
  const [one] = asks.asksFrom(words, now, info, false);
  assert.deepEqual(JSON.parse(JSON.stringify(one)), {
    ...words, steps: 25, guidance: 7.5, sampler: "pndm", width: 512, height: 512, seed: 10, noise: "cpu",
  }); // prettier-ignore
  const chosen = { ...now, steps: 4, guidance: 0, sampler: "euler", width: 256, clipSkip: 2, pictures: 3 };
  const all = asks.asksFrom(words, chosen, info, true);
  assert.deepEqual(all.map(({ seed }) => seed), [10, 11, 12]); // prettier-ignore
  assert.deepEqual(
    [all[0].steps, all[0].guidance, all[0].sampler, all[0].width, all[0].clipSkip, all[0].strength],
    [4, 0, "euler", 256, 2, 0.6],
    "a guidance of 0 is a choice, too",
  );
  assert.equal(asks.asksFrom(words, { ...now, sampler: "lms" }, info, false)[0].sampler, "pndm", "not one it knows");
  const wrapped = asks.asksFrom(words, { ...now, seed: 2 ** 32 - 1, pictures: 2 }, info, false);
  assert.deepEqual(wrapped.map(({ seed }) => seed), [2 ** 32 - 1, 0]); // prettier-ignore
});

test("what a picture was painted with comes back as settings; nonsense in it is left out", () => {
  const ask = { ...asks.asksFrom(words, { ...now, steps: 9, clipSkip: 2, seed: 77 }, info, true)[0] };
  const change = asks.settingsFrom({ ...ask, variationSeed: 5, variationStrength: 0.4 });
  assert.deepEqual(asks.asksFrom(words, { ...now, ...change }, info, true)[0], {
    ...ask, variationSeed: 5, variationStrength: 0.4,
  }); // prettier-ignore
  assert.equal(change.locked, true);
  const odd = asks.settingsFrom({ steps: 1e9, guidance: NaN, seed: -3.5, strength: "1", width: undefined });
  assert.deepEqual([odd.steps, odd.guidance, odd.seed, odd.strength, odd.width], [150, null, 0, undefined, null]);
  assert.equal(asks.settingsFrom({}).seed, undefined, "what names no seed keeps none");
});

test("variations keep everything but the second seed", () => {
  const [ask] = asks.asksFrom(words, now, info, false);
  const all = asks.variationsOf(ask, 4, 0.3);
  assert.equal(new Set(all.map(({ variationSeed }) => variationSeed)).size, 4);
  for (const { variationSeed: _, variationStrength, ...rest } of all) {
    assert.equal(variationStrength, 0.3);
    assert.deepEqual(rest, ask);
  }
});

test("the time left is steps at their median, and for later pictures what the first took beside its steps", () => {
  let clock = 0;
  const meter = new pace.Pace(2, () => clock);
  meter.begin(0);
  clock = 5000; // the words are read
  meter.step(1, 10);
  assert.equal(meter.secondsLeft(), undefined, "one step is no measure");
  clock += 100;
  meter.step(2, 10);
  assert.ok(Math.abs(meter.secondsLeft() - (8 + 10) * 0.1) < 1e-9);
  clock += 9000; // the machine was busy
  meter.step(3, 10);
  for (let step = 4; step <= 10; step++) meter.step(step, 10, (clock += 100));
  clock += 400;
  meter.begin(1);
  meter.step(1, 10, (clock += 5000));
  assert.ok(Math.abs(meter.secondsLeft() - 0.9) < 1e-9, `${meter.secondsLeft()}: nothing comes after this one`);
});

test("a picture covers a canvas of another shape evenly", () => {
  assert.deepEqual(start.cover({ width: 400, height: 200 }, 100, 100), { scale: 0.5, x: -50, y: 0 });
  assert.deepEqual(start.cover({ width: 100, height: 400 }, 200, 200), { scale: 2, x: 0, y: -300 });
});

test("files from this device: one checkpoint, or a diffusers folder with its paths", () => {
  const { choiceFromFiles } = catalogue;
  const files = (...paths) => new Map(paths.map((path) => [path, new File(["x"], path.split("/").at(-1))]));
  const one = choiceFromFiles(files("dreams.safetensors", "notes.txt"));
  assert.ok(one.source instanceof File);
  assert.equal(one.name, "dreams");
  const folder = choiceFromFiles(
    files("sd/model_index.json", "sd/unet/a.safetensors", "sd/vae/b.safetensors", "other/c.safetensors"),
  );
  assert.deepEqual(Object.keys(folder.source), ["model_index.json", "unet/a.safetensors", "vae/b.safetensors"]);
  assert.equal(folder.name, "sd");
  assert.equal(choiceFromFiles(files("a.png")), undefined);
});

test("every named model can be told apart and says what a person wants to know", () => {
  const { CATALOGUE, choiceFromText } = catalogue;
  assert.equal(new Set(CATALOGUE.map(({ source }) => source)).size, CATALOGUE.length);
  for (const entry of CATALOGUE) {
    assert.ok(entry.size > 1e7 && entry.parameters > 1e6 && entry.licence, entry.name);
    assert.equal(choiceFromText(entry.source)?.listed, entry, entry.source);
  }
  assert.equal(choiceFromText("https://huggingface.co/stabilityai/sd-turbo").listed.name, "SD-Turbo");
});

test("seeds are whole numbers of at most nine digits", () => {
  const seeds = Array.from({ length: 100 }, settings.newSeed);
  assert.ok(seeds.every((seed) => Number.isInteger(seed) && seed >= 0 && seed < 1e9));
  assert.ok(new Set(seeds).size > 90);
});

// `ImageModel` of the package, with a double in the place of the wasm module: what it hands to Rust, what it makes of the
// answers, and the text in PNG files.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "./library-server.mjs";
import { cacheList, files, load, page, put, visit } from "./library-shell.mjs";

const text = (body) => ({ body: typeof body === "string" ? body : JSON.stringify(body) });

/** Puts a diffusers folder on the server. */
function folder(path) {
  files[`${path}model_index.json`] = text({ _class_name: "StableDiffusionPipeline" });
  files[`${path}unet/config.json`] = text({ sample_size: 64 });
  files[`${path}vae/config.json`] = text("{}");
}

const loadImage = (source, options) =>
  page.evaluate(
    async ([source, options]) => attempt(async () => (window.painter = await ink.ImageModel.load(source, options)).info),
    [source, options],
  );

test("a folder's files are read by the paths they have in it, and kept", async () => {
  folder("/sd/");
  const ask = ["model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors"];
  const { value } = await loadImage("/sd/", { ask });
  assert.deepEqual(value.names, []);
  assert.deepEqual(Object.values(value.sizes).map(Number), [files["/sd/model_index.json"].body.length, 18, 0]);
  const [kept] = await cacheList();
  assert.deepEqual(
    kept.files.map((f) => f.name),
    ["model_index.json", "unet/config.json"],
  );
});

test("dropped folders lose their own name, records keep their paths", async () => {
  const names = await page.evaluate(async () => {
    const file = (path) => {
      const file = new File(["{}"], path.split("/").at(-1));
      Object.defineProperty(file, "webkitRelativePath", { value: path });
      return file;
    };
    const dropped = ["mine/model_index.json", "mine/unet/config.json", "mine/vae/config.json"].map(file);
    const one = await ink.ImageModel.load(dropped);
    const two = await ink.ImageModel.load({ "model_index.json": "{}", "unet/config.json": new Blob(["{}"]) });
    return [one.info.names, two.info.names];
  });
  assert.deepEqual(names, [
    ["model_index.json", "unet/config.json", "vae/config.json"],
    ["model_index.json", "unet/config.json"],
  ]);
});

test("a LoRA comes with its name and its scale", async () => {
  const body = "a low-rank adapter in a few bytes";
  put("/loras/ink wash.safetensors", { body });
  const { value } = await page.evaluate(async () =>
    attempt(async () => {
      const lora = [
        { source: "/loras/ink%20wash.safetensors", scale: 0.8 },
        { source: new File(["x"], "b.safetensors") },
      ];
      return (await ink.ImageModel.load({ "model_index.json": "{}" }, { lora })).info.adapters;
    }),
  );
  const at = (i) => value[i] && [value[i].name, value[i].scale, value[i].hash];
  assert.deepEqual(at(0), ["ink wash", 0.8, await sha256(body)]);
  assert.deepEqual(at(1), ["b", 1, await sha256("x")]);
});

test("steps come one by one with their previews, then the pictures", async () => {
  await loadImage({ "model_index.json": "{}" });
  const got = await page.evaluate(async () => {
    const painting = painter.generate("two hearts", { batch: 2, steps: 2, preview: "latent", seed: 40 });
    const steps = [];
    for await (const { preview, ...step } of painting) {
      const canvas = new OffscreenCanvas(preview.width, preview.height);
      canvas.getContext("2d").drawImage(preview, 0, 0);
      steps.push([step, preview.width, preview.height, canvas.getContext("2d").getImageData(0, 0, 1, 1).data[0]]);
    }
    const pictures = await painting;
    const bytes = new Uint8Array(await (await pictures[0].blob()).arrayBuffer());
    return {
      steps,
      seeds: pictures.map((p) => p.seed),
      sizes: pictures.map((p) => [p.bitmap.width, p.bitmap.height]),
      pixels: Array.from((await pictures[1].pixels()).slice(0, 4)),
      head: Array.from(bytes.slice(0, 8)),
      type: (await pictures[0].blob()).type,
    };
  });
  assert.deepEqual(
    got.steps,
    [0, 0, 1, 1].map((picture, i) => {
      const step = (i % 2) + 1;
      return [{ picture, step, steps: 2, ms: 7 }, 4, 2, 10 * step];
    }),
  );
  assert.deepEqual([got.seeds, got.sizes], [
    [40, 41],
    [
      [64, 32],
      [64, 32],
    ],
  ]);
  assert.deepEqual(got.pixels, [0, 1, 2, 3].map((n) => Math.fround(n / 250)));
  assert.deepEqual([got.head, got.type], [[137, 80, 78, 71, 13, 10, 26, 10], "image/png"]);
});

test("a picture's PNG has its pixels and tells how it was made", async () => {
  await loadImage({ "model_index.json": "{}" });
  const got = await page.evaluate(async () => {
    const out = [];
    for (const prompt of ["a heart", "ein Herz – 心\nin zwei Zeilen"]) {
      const [picture] = await painter.generate(prompt);
      const blob = await picture.blob();
      const again = await createImageBitmap(blob);
      const canvas = new OffscreenCanvas(again.width, again.height);
      canvas.getContext("2d").drawImage(again, 0, 0);
      const rgba = canvas.getContext("2d").getImageData(0, 0, again.width, again.height).data;
      const pixels = await picture.pixels();
      const worst = pixels.reduce((m, v, i) => Math.max(m, Math.abs(rgba[4 * Math.floor(i / 3) + (i % 3)] - v * 255)), 0);
      out.push([worst, await ink.readParameters(blob), picture.parameters]);
    }
    return out;
  });
  for (const [worst, read, written] of got) {
    assert.ok(worst <= 0.5, `a pixel is off by ${worst}`);
    assert.equal(read, written);
    assert.match(written, /Seed: 5/);
  }
});

test("pictures and masks reach Rust as pixels of the right size", async () => {
  await loadImage({ "model_index.json": "{}" });
  const got = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(40, 24);
    const context = canvas.getContext("2d");
    context.fillStyle = "rgb(200, 100, 50)";
    context.fillRect(0, 0, 40, 24);
    const blob = await canvas.convertToBlob();
    const mask = new ImageData(40, 24);
    for (let i = 0; i < 40 * 24; i++) mask.data.set(i % 40 < 20 ? [255, 255, 255, 255] : [0, 0, 0, 0], 4 * i);
    const [same] = await painter.generate("x", { image: blob, mask });
    const [scaled] = await painter.generate("x", { image: blob, width: 16, height: 8 });
    const large = new OffscreenCanvas(400, 200);
    large.getContext("2d");
    const [fitted] = await painter.generate("x", { image: large });
    const first = async (p) => Array.from((await p.pixels()).slice(0, 3), (v) => Math.round(v * 255));
    return {
      sizes: [same, scaled, fitted].map((p) => [p.bitmap.width, p.bitmap.height]),
      pixels: [await first(same), await first(scaled), await first(fitted)],
      mask: [0, 19, 20, 39].map((x) => same.timings.given.mask[4 * x]),
      alpha: same.timings.given.mask[3 + 4 * 39],
    };
  });
  assert.deepEqual(got.sizes, [
    [40, 24],
    [16, 8],
    [64, 32],
  ]);
  // Where a picture is transparent it stands on white paper.
  assert.deepEqual(got.pixels, [
    [200, 100, 50],
    [200, 100, 50],
    [255, 255, 255],
  ]);
  assert.deepEqual([got.mask, got.alpha], [[255, 255, 0, 0], 255]);
});

test("what is wrong is an InkstoneError, and the model stays usable", async () => {
  await loadImage({ "model_index.json": "{}" });
  const got = await page.evaluate(async () => {
    const codes = [];
    const note = async (job) => codes.push((await attempt(job)).code ?? "fine");
    await note(() => painter.generate("refuse"));
    await note(() => painter.generate("x", { image: new Blob(["no picture"]) }));
    const own = new AbortController();
    const painting = painter.generate("x", { steps: 50, pace: 20, signal: own.signal });
    setTimeout(() => own.abort(), 60);
    await note(() => painting);
    await note(async () => {
      for await (const _ of painter.generate("x", { steps: 50, pace: 20 })) break;
    });
    await note(() => painter.generate("x"));
    const latents = (await painter.generate("x", { latents: Float32Array.of(1, 2, 3) }))[0].latents();
    await painter.dispose();
    await note(() => painter.generate("x"));
    return [codes, Array.from(await latents)];
  });
  assert.deepEqual(got, [
    ["Unsupported", "Format", "Cancelled", "fine", "fine", "Unsupported"],
    [1, 2, 3],
  ]);
});

test("the text of other programs is understood", async () => {
  const parse = (text) => page.evaluate((text) => ink.parseParameters(text), text);
  assert.deepEqual(
    await parse(
      "a heart, (red:1.2)\nsecond line\nNegative prompt: blurry,\nugly\nSteps: 20, Sampler: Euler a, CFG scale: 7.5, " +
        'Seed: 123, Size: 512x768, Model hash: abc, Model: "x, y", Clip skip: 2, Denoising strength: 0.4',
    ),
    {
      prompt: "a heart, (red:1.2)\nsecond line",
      negativePrompt: "blurry,\nugly",
      steps: 20,
      guidanceScale: 7.5,
      seed: 123,
      clipSkip: 1,
      strength: 0.4,
      width: 512,
      height: 768,
      sampler: "euler_a",
      noise: "gpu",
    },
  );
  assert.deepEqual(await parse("x\nSteps: 4, Sampler: DPM++ 2M, Schedule type: Karras, RNG: CPU"), {
    prompt: "x",
    steps: 4,
    sampler: "dpmpp_2m_karras",
    noise: "cpu",
  });
  assert.deepEqual(await parse("only words, no settings"), { prompt: "only words, no settings" });
  const none = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(2, 2);
    canvas.getContext("2d");
    return [await ink.readParameters(new Blob(["no PNG"])), await ink.readParameters(await canvas.convertToBlob())];
  });
  assert.deepEqual(none, [undefined, undefined]);
});

// ---- kernels that are quicker here ---------------------------------------------------------------------------------

const PICTURES = { "model_index.json": "{}" };
/** The choices that Rust was given, and how often this visit measured. */
const chosen = async (options) => {
  const { value, message } = await loadImage(PICTURES, options);
  assert.ok(value, message);
  return [value.options.choices, value.tuned];
};

test("the first load of an image model measures; what came of it holds for all models, and for later visits", async () => {
  assert.deepEqual((await load("/good.gguf")).value.options.choices, [], "a language model does not wait for it");
  assert.deepEqual(await chosen(), [["winograd"], 1]);
  assert.deepEqual(await chosen(), [["winograd"], 1]);
  assert.deepEqual((await load("/good.gguf")).value.options.choices, ["winograd"]);
  assert.deepEqual((await page.evaluate(() => ink.probe())).options.choices, ["winograd"]);
  await visit(page);
  assert.deepEqual(await chosen(), [["winograd"], 0]);
  await page.evaluate(() => ink.cache.clear());
  assert.deepEqual(await cacheList(), [], "it is no model");
});

test("so does the first load of a language model that may round, for its like", async () => {
  const rounding = { activations: "int8" };
  const { value } = await load("/good.gguf", rounding);
  assert.deepEqual([value.options.choices, value.options.activations], [["winograd"], "int8"]);
  assert.deepEqual((await load("/good.gguf")).value.options.choices, [], "others may not round");
  assert.deepEqual(await loadImage(PICTURES, rounding), {
    code: "Unsupported",
    message: "`activations` works with language models only: leave it out",
  });
});

test("whoever names a family, or says so, gets what is usual", async () => {
  await chosen();
  assert.deepEqual(await chosen({ family: "generic" }), [[], 1]);
  assert.deepEqual(await chosen({ tune: false }), [[], 1]);
  assert.deepEqual(await chosen({ family: "generic", tune: true }), [["winograd"], 2], "other kernels are measured anew");
});

test("a driver that breaks over it is not tried again", async () => {
  assert.deepEqual(await chosen({ tier: "base" }), [[], 1]);
  assert.deepEqual(await chosen({ tier: "base" }), [[], 1]);
  await visit(page);
  assert.deepEqual(await chosen({ tier: "base" }), [[], 0]);
  const asked = await page.evaluate(() => attempt(() => ink.tune({ tier: "base" })));
  assert.deepEqual(asked, { code: "Gpu", message: "the device is lost: load the model again" });
});

test("without the cache nothing is kept", async () => {
  assert.deepEqual(await chosen({ cache: false }), [["winograd"], 1]);
  assert.deepEqual(await chosen({ cache: false }), [["winograd"], 1], "but for this visit");
  await visit(page);
  assert.deepEqual(await chosen({ cache: false }), [["winograd"], 1]);
});

test("measuring can be asked for, and a damaged note is measured anew", async () => {
  const tried = await page.evaluate(() => ink.tune());
  assert.deepEqual(
    tried.map(({ choice, chosen }) => [choice, chosen]),
    [
      ["winograd", true],
      ["short tiles", false],
    ],
  );
  assert.deepEqual(await chosen(), [["winograd"], 1]);
  await page.evaluate(async () => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("inkstone");
    const stream = await (await folder.getFileHandle("choices.json")).createWritable();
    await stream.write('{"half":');
    await stream.close();
  });
  await visit(page);
  assert.deepEqual(await chosen(), [["winograd"], 1]);
  assert.deepEqual(page.noise, []);
});

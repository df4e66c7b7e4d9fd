// A visit to the paint page, with paint-double.js in the place of the package: it paints hearts at once and says what it
// was asked for. The emoji model paints in paint-emoji.test.mjs; looks and languages are in paint-manners.test.mjs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openStudio, painter } from "./paint-person.mjs";

let browser, page, person;

before(async () => {
  browser = await openStudio({
    context: { viewport: { width: 1280, height: 820 }, locale: "en-GB", acceptDownloads: true },
  });
  browser.context.setDefaultTimeout(30_000);
  page = await browser.newPage("/paint.html");
  person = painter(page);
});

after(() => browser?.close());

const value = (selector) => page.inputValue(selector);
const pictures = () => page.locator("#gallery .thumb").count();

test("the first visit shows one line, the model that comes along and whether it fits, and opens nothing", async () => {
  await page.waitForSelector(".fit.yes");
  assert.equal(await person.shown("#line"), "A blank sheet.");
  const card = await person.shown("#panel");
  for (const fact of [
    "Tiny Emoji 64",
    "20.1 MB",
    "Apache-2.0",
    "Fits in this browser.",
    "Download 20.1 MB and begin",
  ]) {
    assert.ok(card.includes(fact), `${fact}: ${card}`);
  }
  assert.equal(await page.isDisabled("#send"), true, "there is nothing to paint yet");
  assert.deepEqual(await person.asked(), []);
});

test("the picker lists the hub's models as such; what is no name is said so; what does not fit says why", async () => {
  await page.click("#model-button");
  const rows = await page.$$eval(".model-row", (all) => all.map((row) => row.innerText));
  assert.match(rows[0], /^Tiny Emoji 64\ncomes with this page/);
  assert.ok(rows.length > 3 && rows.slice(1).every((row) => row.includes("from the hub")), rows.join("\n"));
  assert.match(
    rows.find((row) => row.startsWith("SDXL-Turbo")),
    /likely too large/,
  );
  await page.fill("#model-name", "no such thing");
  await page.press("#model-name", "Enter");
  assert.match(await person.shown("#name-problem"), /owner\/repo/);
  await page.fill("#model-name", "owner/huge");
  await page.press("#model-name", "Enter");
  await page.waitForSelector(".fit.no");
  assert.match(await person.shown("#panel"), /Does not fit in this browser\. Needs 10\.8 GB/);
  await page.fill("#prompt", "kept");
  assert.equal(await page.isDisabled("#send"), true, "nothing could paint it");
  await person.choose("owner/missing");
  await page.waitForSelector(".trouble");
  assert.match(await person.shown(".trouble-what"), /did not come through/);
  assert.equal(await value("#prompt"), "kept");
});

test("a download shows exact bytes and can be cancelled", async () => {
  await person.wish({ loadMs: 4000 });
  await person.choose("./models/emoji/");
  await page.click("#open-model");
  await page.waitForFunction(() => /^[\d,]+ of 20,100,000 bytes$/.test(document.querySelector(".amount")?.textContent));
  await page.click("#cancel-load");
  await page.waitForSelector("#open-model");
  assert.equal(await page.locator(".trouble").count(), 0, "cancelling is no trouble");
  await person.wish({});
});

test("a picture asked for before the model is open waits for it, then is painted as the model would", async () => {
  await page.fill("#prompt", "a red heart");
  const seed = await value("#seed");
  const [{ prompt, options }] = await person.paint();
  assert.equal(prompt, "a red heart");
  assert.notEqual(String(options.seed), seed, "a seed that is not kept is rolled");
  assert.equal(String(options.seed), await value("#seed"), "and shown");
  assert.deepEqual(
    { ...options, seed: 0 },
    {
      width: 64, height: 64, steps: 20, guidanceScale: 3, sampler: "dpmpp_2m", seed: 0,
      noise: "cpu", preview: "latent",
    },
    "the model's own settings, and nothing that nobody asked for",
  ); // prettier-ignore
  await page.waitForSelector("#stage .frame img");
  const { mean, width, height } = await person.onStage();
  assert.ok(mean[0] > mean[1] + 20 && mean[0] > mean[2] + 20, `it is red: ${mean}`);
  assert.ok(Math.abs(width - height) < 1 && width > 200, "square, and large enough to be seen");
  assert.match(await person.shown(".stage-foot .facts"), new RegExp(`64 × 64.*seed\\s+${options.seed}.*20 steps`, "s"));
  assert.equal(await page.title(), "a red heart · Inkstone");
  assert.equal(await page.textContent("#spoken"), "Done: a red heart");
  assert.equal(await pictures(), 1);
});

test("it appears step by step in its true shape, with the time left, and Esc stops it and keeps what is there", async () => {
  await person.wish({ stepMs: 120 });
  await page.fill("#prompt", "a blue heart");
  await page.press("#prompt", "Enter");
  await page.waitForSelector("#stage .frame canvas");
  const before = await person.onStage();
  assert.ok(Math.abs(before.width - before.height) < 1 && before.width > 200, "the shape is there from the start");
  await page.waitForFunction(() => /^step \d+ of 20, about \d+ s$/.test(document.querySelector(".phase")?.textContent));
  const seen = await person.onStage();
  assert.ok(seen.mean[3] > 250, "there is a preview on the canvas");
  assert.match(await page.title(), /^\d+% painted · Inkstone$/);
  assert.equal(await person.shown("#send"), "Stop");
  assert.ok(Number(await page.getAttribute("#progress [role=progressbar]", "aria-valuenow")) > 0);
  const begun = Date.now();
  await page.keyboard.press("Escape");
  const [{ options }] = await person.done();
  assert.ok(Date.now() - begun < 2000, "stopping is felt at once");
  assert.match(await person.shown(".frame-note"), /^Stopped at step \d+ of 20$/);
  assert.ok((await person.onStage()).mean[3] > 250, "the preview stays");
  assert.equal(await pictures(), 1, "what was stopped is not kept");
  assert.match((await person.save()).name, /^a blue heart \d+\.png$/);
  await person.wish({});
  await page.click("[data-act=on]");
  await page.waitForSelector("#stage .frame img");
  const [again] = await person.done();
  assert.equal(again.options.seed, options.seed, "painted to the end it is the same picture");
  assert.equal(await pictures(), 2);
});

test("Shift+Enter breaks the line, an input method's Enter paints nothing", async () => {
  await page.fill("#prompt", "one");
  await page.press("#prompt", "Shift+Enter");
  await page.locator("#prompt").pressSequentially("two");
  assert.equal(await value("#prompt"), "one\ntwo");
  await page.dispatchEvent("#prompt", "keydown", { key: "Enter", isComposing: true, keyCode: 229 });
  await page.fill("#prompt", " ");
  assert.equal(await page.isDisabled("#send"), true, "blanks are no words");
  await page.press("#prompt", "Enter");
  assert.deepEqual(await person.asked(), []);
});

test("the dice roll a seed, a written one is kept, the lock lets go of it", async () => {
  const first = await value("#seed");
  await page.click("#roll");
  assert.notEqual(await value("#seed"), first);
  await page.fill("#seed", "1a234");
  assert.equal(await value("#seed"), "1234", "seeds are digits");
  assert.equal(await page.getAttribute("#lock", "aria-pressed"), "true");
  assert.equal((await person.paint("a heart"))[0].options.seed, 1234);
  assert.equal((await person.paint())[0].options.seed, 1234);
  await page.fill("#seed", "99999999999");
  await page.locator("#seed").blur();
  assert.equal(await value("#seed"), "4294967295", "the largest there is");
  await page.click("#lock");
  assert.notEqual((await person.paint())[0].options.seed, 4294967295);
});

test("shapes and exact sizes are what is asked for; the settings of the drawer too", async () => {
  const wide = page.locator("#shapes input").last();
  assert.match(await wide.getAttribute("aria-label"), /^Wide, 88 × 48$/);
  await wide.check({ force: true });
  assert.equal(await person.shown("#size-now"), "88 × 48");
  const [{ options }] = await person.paint("a heart");
  assert.deepEqual([options.width, options.height], [88, 48]);
  await page.waitForSelector("#stage .frame img");
  const { width, height } = await person.onStage();
  assert.ok(Math.abs(width / height - 88 / 48) < 0.02, `${width} x ${height}`);

  await page.click(".more-settings summary");
  await person.set("width", 90);
  assert.equal(await value("#set-width"), "88", "sides are multiples of 8");
  await person.set("height", 64);
  await person.set("steps", 7);
  await person.set("guidance", 4.5);
  await page.selectOption("#set-sampler", "euler_a");
  await page.selectOption("#set-noise", "gpu");
  await person.set("clipSkip", 2);
  await person.set("variationSeed", 5);
  await page.uncheck("#preview");
  const [other] = await person.paint();
  const { seed: _, ...rest } = other.options;
  assert.deepEqual(rest, {
    width: 88, height: 64, steps: 7, guidanceScale: 4.5, sampler: "euler_a", noise: "gpu", clipSkip: 2,
    variationSeed: 5, variationStrength: 0.2, preview: "none",
  }); // prettier-ignore
  await person.set("steps", 100_000);
  assert.equal(await value("#set-steps"), "150", "numbers stay inside their range");
  await page.click("#reset-settings");
  assert.equal(await value("#set-steps"), "");
  assert.equal(await page.getAttribute("#set-steps", "placeholder"), "20");
  assert.equal(await value("#set-width"), "64");
});

test("what the picture should be without is folded away until it is wanted", async () => {
  assert.equal(await page.isVisible("#negative"), false);
  await page.click("#negative-button");
  assert.equal(await page.evaluate(() => document.activeElement.id), "negative");
  await page.fill("#negative", "blur");
  await page.press("#negative", "Enter");
  assert.equal((await person.done())[0].options.negativePrompt, "blur");
  await page.click("#negative-button");
  assert.equal((await person.paint())[0].options.negativePrompt, undefined, "what is folded away is not asked for");
});

test("four at once come as a grid, one by one; each opens alone above a strip of all", async () => {
  await page.locator("#counts input[value='4']").check({ force: true });
  const before = await pictures();
  const asks = await person.paint("a green heart");
  const seeds = asks.map(({ options }) => options.seed);
  assert.deepEqual(seeds, [0, 1, 2, 3].map((i) => seeds[0] + i), "their seeds follow each other"); // prettier-ignore
  assert.equal(await page.locator("button.frame img").count(), 4);
  assert.equal(await pictures(), before + 4);
  await page.locator("button.frame").nth(2).click();
  assert.match(await person.shown(".facts"), new RegExp(`seed\\s+${seeds[2]}`));
  assert.equal(await page.locator(".strip .thumb").count(), 4);
  await page.keyboard.press("ArrowRight");
  assert.match(await person.shown(".facts"), new RegExp(`seed\\s+${seeds[3]}`));
  await page.click(".strip-all");
  assert.equal(await page.locator("button.frame").count(), 4);

  await person.wish({ stepMs: 60 });
  await page.fill("#prompt", "a purple heart");
  await page.press("#prompt", "Enter");
  await page.waitForFunction(() => document.querySelector(".phase").textContent.startsWith("picture 2 of 4, step"));
  await page.click("#send");
  await person.done();
  assert.equal(await pictures(), before + 5, "the finished one is kept");
  const notes = await page.$$eval(".frame-note", (all) => all.map((note) => note.textContent));
  assert.equal(notes[0], "");
  assert.match(notes[1], /^Stopped at step \d+ of 20$/);
  assert.deepEqual(notes.slice(2), ["Not begun", "Not begun"]);
  await person.wish({});
  await page.locator("#counts input[value='1']").check({ force: true });
});

test("variations keep the seed and differ by a second one", async () => {
  const [{ options }] = await person.paint("a red heart");
  await page.click("[data-act=vary]");
  await page.waitForFunction(() => globalThis.asked.length === 4);
  const asks = (await person.done()).map((ask) => ask.options);
  assert.ok(asks.every(({ seed, variationStrength }) => seed === options.seed && variationStrength === 0.2));
  assert.equal(new Set(asks.map(({ variationSeed }) => variationSeed)).size, 4);
  await page.locator("button.frame").first().click();
  assert.match(await person.shown(".facts"), /variation\s+0\.2/);
});

test("a plain picture that is dropped is painted from, with a strength and in its shape", async () => {
  await person.drop(["photo.png", await person.plain(400, 240, "#204080"), "image/png"]);
  await page.waitForSelector(".starting .marks");
  assert.equal(await person.shown("#size-now"), "88 × 48", "the nearest shape");
  await page.locator("#strength").fill("0.3");
  const [ask] = await person.paint("a red heart");
  assert.equal(ask.options.strength, 0.3);
  assert.deepEqual(ask.image, { width: 88, height: 48, mean: [32, 64, 128] });
  assert.equal(ask.mask, undefined, "nothing was marked");
  await page.waitForSelector("#stage .frame img");
  assert.match(await person.shown(".facts"), /strength\s+0\.3/);
});

test("a brush marks what is to be repainted; strokes are taken back one by one or all at once", async () => {
  await page.click("#start-button");
  await page.waitForFunction(() => document.querySelector(".marks").clientWidth > 100);
  const marks = await page.locator(".marks").boundingBox();
  const at = (x, y) => [marks.x + x * marks.width, marks.y + y * marks.height];
  const stroke = async (from, to) => {
    await page.mouse.move(...at(...from));
    await page.mouse.down();
    await page.mouse.move(...at(...to), { steps: 8 });
    await page.mouse.up();
  };
  const masked = async () => {
    const [{ mask }] = await person.paint();
    await page.click("#start-button");
    return mask && [mask.width, mask.height, mask.mean[0]];
  };
  assert.equal(await page.locator(".act", { hasText: "Undo" }).isDisabled(), true);
  await stroke([0.5, 0.1], [0.5, 0.9]);
  const [width, height, once] = await masked();
  assert.deepEqual([width, height], [88, 48]);
  // A stroke as wide as 2 x 8 % of 48 pixels, over four fifths of the height.
  assert.ok(once > 15 && once < 40, `${once}`);
  await page.locator("#brush").fill("0.25");
  await stroke([0.1, 0.5], [0.9, 0.5]);
  const [, , twice] = await masked();
  assert.ok(twice > once + 60, `${once}, ${twice}: a wider brush marks more`);
  await page.locator(".act", { hasText: "Undo" }).click();
  assert.equal((await masked())[2], once);
  await page.locator(".act", { hasText: "Clear" }).click();
  assert.equal(await masked(), undefined);

  await page.focus(".marks");
  await page.keyboard.press("Space");
  const [, , dab] = await masked();
  assert.ok(dab > 0, "the keyboard has the brush too");
  await page.focus(".marks");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Space");
  assert.ok((await masked())[2] > dab);
  await page.focus(".marks");
  await page.keyboard.press("Control+z");
  assert.equal((await masked())[2], dab);
  await page.locator(".act", { hasText: "Put it away" }).click();
  assert.equal((await person.paint())[0].image, undefined);
});

test("a saved picture carries what it was painted with: dropped, it fills that in and asks nothing", async () => {
  await page.click("#negative-button");
  await page.fill("#negative", "blur, text");
  await page.fill("#seed", "4711");
  await person.set("steps", 9);
  await person.set("guidance", 2.5);
  await page.selectOption("#set-sampler", "heun");
  await page.locator("#shapes input").first().check({ force: true });
  await person.paint("a blue heart, on paper");
  await page.waitForSelector("#stage .frame img");
  const { name, bytes } = await person.save();
  assert.equal(name, "a blue heart, on paper 4711.png");
  assert.match(
    bytes.toString("latin1"),
    /tEXtparameters\0a blue heart, on paper\nNegative prompt: blur, text\nSteps: 9/,
  );

  await page.click("#reset-settings");
  await page.click("#negative-button");
  await page.click("#lock");
  await page.click("#roll");
  await page.fill("#prompt", "something else");
  await person.drop([name, bytes, "image/png"]);
  await page.waitForSelector("#toast >> text=are filled in");
  assert.equal(await value("#prompt"), "a blue heart, on paper");
  assert.equal(await value("#negative"), "blur, text");
  assert.deepEqual(
    [await value("#seed"), await value("#set-steps"), await value("#set-guidance"), await value("#set-sampler")],
    ["4711", "9", "2.5", "heun"],
  );
  assert.equal(await person.shown("#size-now"), "48 × 88");
  assert.equal(await page.locator("dialog[open], .starting").count(), 0, "nothing was asked");
  const [{ options }] = await person.paint();
  assert.deepEqual(
    [options.seed, options.steps, options.guidanceScale, options.sampler, options.width, options.height],
    [4711, 9, 2.5, "heun", 48, 88],
  );
  await page.click("#reset-settings");
  await page.click("#negative-button");
  await page.click("#lock");
});

test("an earlier picture is looked at, gives its settings back, and is painted from", async () => {
  const red = page.locator("#gallery .thumb[title='a red heart']").last();
  await red.click();
  assert.equal(await person.shown(".caption"), "a red heart");
  await page.click("[data-act=settings]");
  assert.equal(await value("#prompt"), "a red heart");
  assert.equal(await page.getAttribute("#lock", "aria-pressed"), "true");
  await page.click("[data-act=start]");
  await page.waitForSelector(".starting .marks");
  const [{ image }] = await person.paint("a blue heart");
  assert.ok(image.mean[0] > image.mean[2] + 10, `the red one: ${image.mean}`);
  await page.click("#start-button");
  await page.locator(".act", { hasText: "Put it away" }).click();
  await page.click("#lock");
});

test("pictures survive a reload, and so does what was typed; the model opens by itself", async () => {
  const count = await pictures();
  assert.ok(count > 10);
  await page.fill("#prompt", "not painted yet");
  await page.waitForTimeout(400);
  await page.reload();
  await page.waitForSelector("#model-button[data-step=ready]");
  assert.equal(await pictures(), count);
  assert.equal(await value("#prompt"), "not painted yet");
  await page.waitForSelector("#stage .frame img");
  const { mean } = await person.onStage();
  assert.ok(mean[3] > 250 && mean.slice(0, 3).some((part) => part < 250), "the last picture is shown");
  assert.match(await person.shown("#kept-pictures"), new RegExp(`^${count} kept here, [\\d.]+ kB$`));
});

test("a picture is deleted, or all of them, and come back when that was a mistake", async () => {
  const count = await pictures();
  const first = page.locator("#gallery li").first();
  await first.hover();
  await first.locator(".remove").click();
  await page.waitForSelector("#toast >> text=Deleted");
  assert.equal(await pictures(), count - 1);
  await page.click("#toast >> text=Undo");
  await page.waitForFunction((n) => document.querySelectorAll("#gallery .thumb").length === n, count);
  await page.click("#clear-pictures");
  await page.waitForSelector(`#toast >> text=Deleted all ${count} pictures.`);
  assert.equal(await pictures(), 0);
  assert.equal(await page.isVisible("#line"), true, "a blank sheet again");
  await page.click("#toast >> text=Undo");
  await page.waitForFunction((n) => document.querySelectorAll("#gallery .thumb").length === n, count);
  await page.click("#clear-pictures");
  await page.waitForSelector("#toast >> text=Deleted all");
  await page.reload();
  await page.waitForSelector("#model-button[data-step=ready]");
  assert.equal(await pictures(), 0, "what was deleted stays deleted");
});

test("another tab shows what is painted in this one", async () => {
  const other = await browser.newPage("/paint.html");
  await other.waitForSelector("html[data-ready]");
  await person.paint("a green heart");
  await other.waitForSelector("#gallery .thumb[title='a green heart']");
  await other.close();
});

test("trouble while painting: one sentence, a button that does it, the code; nothing typed is lost", async () => {
  await person.wish({
    error: { code: "TooLarge", message: "the picture needs 3.1 GB: choose a smaller one", width: 64 },
  });
  await page.fill("#prompt", "too much");
  await page.press("#prompt", "Enter");
  await page.waitForSelector(".trouble");
  assert.match(await person.shown(".trouble-what"), /more memory than the browser gives/);
  await page.click(".trouble summary");
  assert.match(await person.shown(".trouble details"), /TooLarge the picture needs 3\.1 GB/);
  assert.equal(await value("#prompt"), "too much");
  await person.asked();
  await page.click(".trouble .button >> text=Paint it smaller");
  await page.waitForSelector("#stage .frame img");
  const [{ options }] = await person.asked();
  assert.deepEqual([options.width, options.height], [32, 32]);
  await page.click("#reset-settings");

  await person.wish({ error: { code: "Unsupported", message: "no such thing", width: 0 } });
  await page.press("#prompt", "Enter");
  await page.waitForSelector(".trouble");
  assert.match(await person.shown(".trouble-what"), /could not be painted as asked/);
  await person.wish({});
  await person.asked();
  await page.click(".trouble .button >> text=Try again");
  await page.waitForSelector("#stage .frame img");
  assert.equal((await person.asked())[0].prompt, "too much");

  await person.wish({ error: { code: "Gpu", message: "the device was lost", width: 0 } });
  await page.press("#prompt", "Enter");
  await page.waitForSelector(".trouble");
  assert.equal(await page.locator(".trouble:visible").count(), 1, "said once");
  assert.equal(await page.getAttribute("#model-button", "data-step"), "trouble");
  await person.wish({});
  await page.click(".trouble .button >> text=Open the model again");
  await page.waitForSelector("#model-button[data-step=ready]");
  await person.paint();
  assert.equal(await page.locator(".trouble:visible").count(), 0);
});

test("files: what is neither picture nor model is named; a folder and a checkpoint open", async () => {
  await person.drop(["notes.txt", "x", "text/plain"]);
  await page.waitForSelector("#toast >> text=There is no .safetensors file");
  await person.drop(["broken.png", "not a picture", "image/png"]);
  await page.waitForSelector("#toast >> text=broken.png is neither a picture nor a model");
  await person.drop(["dreams.safetensors", "x"]);
  await page.waitForSelector(".fit.yes");
  assert.match(await person.shown("#panel"), /dreams\s+from this device/);
  await person.openModel();
  assert.equal((await person.paint("a heart")).length, 1);
  // A model's folder may hold pictures: it is a model all the same.
  await person.drop(["model_index.json", "{}"], ["sample.png", await person.plain(8, 8, "red"), "image/png"]);
  await page.waitForFunction(() => document.querySelector("#model-button").dataset.step === "chosen");
});

test("what is shown elsewhere leads back to what is being painted", async () => {
  await person.openModel();
  await person.wish({ stepMs: 100 });
  await page.fill("#prompt", "a purple heart");
  await page.press("#prompt", "Enter");
  await page.waitForFunction(() => document.querySelector(".phase").textContent.startsWith("step"));
  await page.locator("#gallery .thumb").last().click();
  assert.notEqual(await person.shown(".caption"), "a purple heart");
  await page.click("#progress >> text=Show");
  assert.equal(await person.shown(".caption"), "a purple heart");
  await page.keyboard.press("Escape");
  await person.done();
  await person.wish({});
});

test("a link can name a model, which is looked at and not opened", async () => {
  await page.goto(`${browser.url}/paint.html?model=IDKiro/sdxs-512-dreamshaper`);
  await page.waitForSelector(".fit.yes");
  assert.match(await person.shown("#panel"), /SDXS-512 DreamShaper[\s\S]*OpenRAIL\+\+/);
  assert.equal(await person.shown("#size-now"), "512 × 512");
  assert.equal(await page.locator("#shapes input").count(), 5);
});

test("a page that died while opening a model does not open it again by itself", async () => {
  await page.goto(`${browser.url}/style.css`);
  // What a crash leaves behind: no page says goodbye then.
  await page.evaluate(() => localStorage.setItem("inkstone.paint.opening", JSON.stringify("owner/crash")));
  await page.goto(`${browser.url}/paint.html`);
  await page.waitForSelector("#toast >> text=The page closed while crash was being opened");
  await page.waitForSelector("#open-model");
});

test("no message reached the console", () => assert.deepEqual(page.problems, []));

// The emoji model on the paint page, as someone has it who clones the project and runs `npm start`. Chromium computes on
// the CPU here: every picture is small and has few steps.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser } from "./browser.mjs";
import { painter } from "./paint-person.mjs";

let browser, page, person;
const requests = [];

before(async () => {
  browser = await openBrowser({
    context: { viewport: { width: 1280, height: 820 }, locale: "en-GB", acceptDownloads: true },
  });
  browser.context.setDefaultTimeout(90_000);
  browser.context.on("request", (request) => requests.push(request.url()));
  page = await browser.newPage("/paint.html");
  person = painter(page);
});

after(() => browser?.close());

const done = () => page.waitForSelector("#send:not(.stop)");

/** The pixels of the picture on the stage, RGB, row by row. */
const pixels = async () => {
  await page.waitForSelector("#stage .frame img");
  return page.evaluate(async () => {
    const image = document.querySelector("#stage .frame img");
    await image.decode();
    const context = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.naturalWidth, image.naturalHeight);
    return [...data].filter((_, i) => i % 4 < 3);
  });
};

const mean = (numbers) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
const distance = (a, b) => mean(a.map((value, i) => Math.abs(value - b[i])));

/** Asks for a picture and waits for it. */
async function paint(words) {
  await page.fill("#prompt", words);
  await page.press("#prompt", "Enter");
  await page.waitForSelector("#send.stop");
  await done();
  assert.equal(await page.locator(".trouble").count(), 0, await page.locator("#stage").innerText());
  return pixels();
}

let heart;

test("the model that comes along is opened and paints a red heart, step by step", async () => {
  await page.waitForSelector(".fit.yes");
  assert.match(await person.shown("#panel"), /Tiny Emoji 64[\s\S]*Apache-2\.0/);
  await person.openModel();
  assert.equal(await page.getAttribute("#set-guidance", "placeholder"), "3.0", "what its card recommends");
  await page.fill("#seed", "1");
  await person.set("steps", 12);
  await page.fill("#prompt", "a red heart");
  await page.press("#prompt", "Enter");
  await page.waitForFunction(() => /^step \d+ of 12, about \d+ s$/.test(document.querySelector(".phase")?.textContent));
  const { tag, mean: seen } = await person.onStage();
  assert.ok(tag === "CANVAS" && seen[3] > 250, "a preview is on the canvas");
  await done();
  heart = await pixels();
  assert.equal(heart.length, 64 * 64 * 3);
  const at = (x, y) => heart.slice((y * 64 + x) * 3, (y * 64 + x) * 3 + 3);
  const [red, green, blue] = at(32, 28);
  assert.ok(red > 150 && red > green + 60 && red > blue + 60, `its middle is red: ${[red, green, blue]}`);
  for (const corner of [at(1, 62), at(62, 62)]) {
    assert.ok(Math.min(...corner) > 200, `beside its tip there is paper: ${corner}`);
  }
});

test("it is stopped in the middle; what is there stays, and the next picture is painted as ever", async () => {
  await page.fill("#prompt", "a blue apple");
  await page.press("#prompt", "Enter");
  await page.waitForFunction(() => document.querySelector(".phase")?.textContent.startsWith("step"));
  await page.keyboard.press("Escape");
  await done();
  assert.match(await person.shown(".frame-note"), /^Stopped at step \d+ of 12$/);
  assert.ok((await person.onStage()).mean[3] > 250);
  assert.equal(await page.locator("#gallery .thumb").count(), 1, "only what was finished is kept");
});

test("painting from a picture stays closer to it the lower the strength is", async () => {
  await page.locator("#gallery .thumb").last().click();
  await page.click("[data-act=start]");
  await page.waitForSelector(".starting .marks");
  await page.locator("#strength").fill("0.2");
  const near = await paint("a blue apple");
  await page.click("#start-button");
  await page.locator("#strength").fill("0.95");
  const far = await paint("a blue apple");
  const [low, high] = [distance(near, heart), distance(far, heart)];
  assert.ok(low < high && low < 40, `strength 0.2 is ${low} away, 0.95 is ${high}`);
});

test("a mask keeps what is not marked", async () => {
  await page.click("#start-button");
  await page.waitForFunction(() => document.querySelector(".marks").clientWidth > 100);
  const marks = await page.locator(".marks").boundingBox();
  await page.locator("#brush").fill("0.25");
  await page.mouse.move(marks.x + marks.width * 0.25, marks.y);
  await page.mouse.down();
  await page.mouse.move(marks.x + marks.width * 0.25, marks.y + marks.height, { steps: 8 });
  await page.mouse.up();
  const half = await paint("a blue apple");
  const column = (from, to) => (_, i) => Math.floor(i / 3) % 64 >= from && Math.floor(i / 3) % 64 < to;
  const left = distance(half.filter(column(0, 28)), heart.filter(column(0, 28)));
  const right = distance(half.filter(column(40, 64)), heart.filter(column(40, 64)));
  assert.ok(right < left / 2 && right < 20, `the marked half changed by ${left}, the other by ${right}`);
  await page.click("#start-button");
  await page.locator(".act", { hasText: "Put it away" }).click();
});

test("the saved picture, dropped, brings back its words, its settings and itself", async () => {
  await page.locator("#gallery .thumb").last().click();
  const { name, bytes } = await person.save();
  assert.equal(name, "a red heart 1.png");
  assert.match(bytes.toString("latin1"), /parameters\0a red heart\nSteps: 12, /);
  await page.fill("#prompt", "something else");
  await page.click("#reset-settings");
  await page.click("#lock");
  await page.click("#roll");
  await person.drop([name, bytes, "image/png"]);
  await page.waitForSelector("#toast >> text=are filled in");
  assert.equal(await page.inputValue("#prompt"), "a red heart");
  assert.equal(await page.inputValue("#seed"), "1");
  assert.equal(await page.inputValue("#set-steps"), "12");
  assert.deepEqual(await paint("a red heart"), heart, "the same seed gives the same picture");
});

test("after a reload the pictures are there and the model opens from this device", async () => {
  const count = await page.locator("#gallery .thumb").count();
  requests.length = 0;
  await page.reload();
  await page.waitForSelector("#model-button[data-step=ready]");
  assert.equal(await page.locator("#gallery .thumb").count(), count);
  assert.deepEqual(requests.filter((address) => /\/models\//.test(address)), []); // prettier-ignore
  assert.deepEqual(await pixels(), heart, "the last one is shown");
});

test("nobody else was asked for anything, and no message reached the console", () => {
  assert.deepEqual(requests.filter((address) => !/^(blob|data):/.test(address) && !address.startsWith(browser.url)), []); // prettier-ignore
  assert.deepEqual(page.problems, []);
});

// What the paint page owes everyone: both languages, both lights, the keyboard, the phone, quiet motion, privacy, and a
// browser without WebGPU. The visit itself is in paint-page.test.mjs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { unreadable } from "./chat-person.mjs";
import { openStudio, painter } from "./paint-person.mjs";

let browser, page, person;
/** Every request of the page. */
const requests = [];

before(async () => {
  browser = await openStudio({ context: { viewport: { width: 1280, height: 820 }, locale: "en-GB" } });
  browser.context.setDefaultTimeout(30_000);
  browser.context.on("request", (request) => requests.push([request.method(), request.url(), request.postData()]));
  page = await browser.newPage("/paint.html");
  person = painter(page);
});

after(() => browser?.close());

test("nobody but the page's own server was asked for anything, and nothing was sent", async () => {
  await person.openModel();
  await person.paint("a secret heart");
  await page.click("#model-button");
  await page.keyboard.press("Escape");
  const own = ["/paint.html", "/style.css", "/pages/paint.js", "/dist/inkstone.js"];
  for (const [method, address, body] of requests) {
    if (/^(data|blob):/.test(address)) continue;
    const { origin, pathname, search } = new URL(address);
    assert.ok(method === "GET" && body === null && search === "" && origin === browser.url, `${method} ${address}`);
    assert.ok(own.includes(pathname), `nobody asked for ${address}`);
  }
  assert.ok(
    requests.some(([, address]) => address.endsWith("/pages/paint.js")),
    "the requests were really seen",
  );
});

test("the page speaks Chinese as well, everywhere and at once", async () => {
  await page.selectOption("#language", "zh");
  assert.equal(await page.getAttribute("html", "lang"), "zh-CN");
  await page.click(".more-settings summary");
  await person.drop(["photo.png", await person.plain(64, 64, "#204080"), "image/png"]);
  await page.waitForSelector(".starting");
  const english = () =>
    page.evaluate(() => {
      const names =
        /Inkstone|Hugging Face|Enter|Shift|Esc|WebGPU|GPU|CLIP|Turbo|Eta|PNG|diffusers|ComfyUI|owner|repo|https|safetensors|Tiny Emoji|a red heart|a secret heart|Markdown/g;
      const seen = [];
      for (const element of document.querySelectorAll("body *")) {
        if (element.closest("[lang=en], .model-name, .model-facts, #model-facts, .brand, #toast, #spoken, script, noscript, option, .facts, .kept, .caption, .thumbs")) continue; // prettier-ignore
        const own = [...element.childNodes].filter(({ nodeType }) => nodeType === 3).map((node) => node.textContent);
        const said = ["aria-label", "title", "placeholder"].map((name) => element.getAttribute(name));
        for (const text of [...own, ...said]) {
          if (text && /[a-z]{2}/i.test(text.replace(names, "")) && !/[\u4e00-\u9fff]/.test(text)) seen.push(text);
        }
      }
      return seen;
    });
  assert.deepEqual(await english(), []);
  assert.equal(await person.shown("#send"), "作画");
  assert.equal(await page.getAttribute(".marks", "aria-label"), "画笔：方向键移动，空格涂抹，[ 和 ] 调节大小");
  await page.locator(".act", { hasText: "收起图片" }).click();
  assert.deepEqual(await english(), []);
  assert.match(await page.getAttribute("#stage .frame img", "alt"), /^a secret heart，64 × 64$/);
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  assert.equal(await page.getAttribute("html", "lang"), "zh-CN", "the choice is kept");
  await page.selectOption("#language", "en");
});

test("light and dark are chosen by hand or by the system", async () => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const [light, dark] = ["rgb(250, 248, 243)", "rgb(22, 22, 26)"];
  await page.emulateMedia({ colorScheme: "dark" });
  assert.equal(await ground(), dark);
  await page.selectOption("#theme", "light");
  assert.equal(await ground(), light);
  await page.selectOption("#theme", "auto");
  await page.emulateMedia({ colorScheme: "light" });
  assert.equal(await ground(), light);
});

test("everything has a name, the keyboard reaches it in order, and the focus is seen", async () => {
  await page.waitForSelector("#model-button[data-step=ready]");
  await page.locator("#counts input[value='4']").check({ force: true });
  await person.paint("a heart");
  assert.deepEqual(await unreadable(page), [], "a grid");
  await page.locator("button.frame").first().click();
  assert.deepEqual(await unreadable(page), [], "one picture");
  await page.click("#model-button");
  assert.deepEqual(await unreadable(page), [], "the picker");
  await page.keyboard.press("Escape");
  const focused = () => page.evaluate(() => document.activeElement.id);
  assert.equal(await focused(), "model-button", "closing the dialog returns the focus");

  await page.focus(".skip");
  const order = ["skip"];
  for (let i = 0; i < 80; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      const visible = (it) => {
        const { outlineStyle, outlineWidth } = getComputedStyle(it);
        return outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 1;
      };
      // A radio button's look has the ring; the field of words has the whole composer's frame.
      const framed = element.id === "prompt" || visible(element.closest(".choice") ?? element);
      return {
        id: element === document.body ? "" : element.id || element.dataset.act || element.className || element.tagName,
        framed,
      };
    });
    if (!at.id) break;
    assert.ok(at.framed, `${at.id} shows that it has the focus`);
    order.push(at.id);
  }
  const place = (id) => order.indexOf(id) + 1 || assert.fail(`Tab never reaches ${id}: ${order}`);
  const wanted = ["model-button", "save", "prompt", "send", "start-button", "roll", "seed", "lock", "set-steps"];
  for (const [i, id] of wanted.slice(1).entries()) assert.ok(place(wanted[i]) < place(id), `${wanted[i]}, then ${id}`);
  await page.locator("#gallery .thumb").first().focus();
  await page.keyboard.press("/");
  assert.equal(await focused(), "prompt");
  assert.equal(await page.inputValue("#prompt"), "a heart", "the slash is no letter");
});

test("on a phone nothing is cut off and the side panels keep to themselves", async () => {
  await page.setViewportSize({ width: 360, height: 640 });
  const wide = () => page.evaluate(() => document.scrollingElement.scrollWidth > innerWidth);
  assert.equal(await wide(), false);
  const cut = await page.$$eval("#composer button, #composer label, #composer input, .act", (all) =>
    all
      .map((one) => [one.id || one.textContent, one.getBoundingClientRect()])
      .filter(([, { left, right, width }]) => width > 1 && (left < 0 || right > innerWidth))
      .map(([name]) => name),
  );
  assert.deepEqual(cut, []);
  await page.click("#open-rail");
  assert.equal(await page.evaluate(() => document.getElementById("main").inert), true);
  await page.locator("#gallery .thumb").last().click();
  assert.equal(await page.evaluate(() => document.getElementById("main").inert), false, "choosing closes the list");
  assert.equal(await person.shown(".caption"), "a secret heart");
  const { width, height } = await person.onStage();
  assert.ok(width > 150 && Math.abs(width - height) < 1, `the picture has room: ${width} x ${height}`);
  await page.click("#open-drawer");
  assert.equal(await wide(), false);
  await page.keyboard.press("Escape");
  const small = await page.$$eval(
    "#send, #open-rail, #open-drawer, #model-button, .act",
    (all) =>
      all.map((one) => one.getBoundingClientRect()).filter(({ width, height }) => width < 39 || height < 39).length,
  );
  assert.equal(small, 0, "fingers find the buttons");
  await page.setViewportSize({ width: 1280, height: 820 });
});

test("who asks for little motion gets none", async () => {
  await page.emulateMedia({ reducedMotion: "reduce" });
  await person.wish({ stepMs: 300 });
  await page.locator("#counts input[value='1']").check({ force: true });
  await page.press("#prompt", "Enter");
  await page.waitForSelector("#progress .bar-fill.busy");
  const moving = () => page.evaluate(() => document.getAnimations().length);
  assert.equal(await moving(), 0);
  await page.emulateMedia({ reducedMotion: "no-preference" });
  assert.ok((await moving()) > 0, "there is something that moves otherwise");
  await page.keyboard.press("Escape");
  await person.done();
});

test("no message reached the console", () => assert.deepEqual(page.problems, []));

test("without WebGPU the page says what to switch on, and pictures can still be seen", async () => {
  await person.wish({ supported: false });
  await page.reload();
  await page.waitForSelector(".support");
  const text = await person.shown(".support");
  assert.match(text, /Your pictures can still be seen/);
  assert.match(text, /chrome:\/\/flags\/#enable-unsafe-webgpu/);
  assert.equal(await page.isVisible("#composer"), false);
  await page.locator("#gallery .thumb").last().click();
  assert.equal(await page.locator("#stage .frame img").getAttribute("alt"), "a secret heart, 64 × 64");
  assert.equal(await page.locator("[data-act=save]").isVisible(), true);
  assert.deepEqual(await unreadable(page), []);
});

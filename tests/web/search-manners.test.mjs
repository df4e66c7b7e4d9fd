// What the search page owes everyone: both languages, both lights, the keyboard, the phone, quiet motion, privacy, and
// a browser without WebGPU. The visit itself is in search-page.test.mjs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { unreadable } from "./chat-person.mjs";
import { openStudy, pdf, seeker } from "./search-person.mjs";

const FILES = [
  ["stones.md", "# Inkstones\n\nAn inkstone is a stone for ink.\n\n## Care\n\nWash the inkstone after use."],
  ["paper.pdf", pdf(["Rice paper is made of bark."])],
  ["a very long name of a file that somebody has saved from somewhere, version 2 (final).html", "<p>Brushes.</p>"],
];
let browser, page, person;
/** Every request of the page and its workers. */
const requests = [];

before(async () => {
  browser = await openStudy({ context: { viewport: { width: 1280, height: 820 }, locale: "en-GB" } });
  browser.context.setDefaultTimeout(15_000);
  browser.context.on("request", (request) => requests.push([request.method(), request.url(), request.postData()]));
  page = await browser.newPage("/search.html");
  person = seeker(page);
});

after(() => browser?.close());

test("nobody but the page's own server was asked for anything, and nothing was sent", async () => {
  await page.waitForSelector("html[data-ready]");
  await person.drop(...FILES);
  await person.openModel();
  await person.read(3);
  await person.ask("a secret inkstone");
  const own = ["/search.html", "/style.css", "/pages/search.js", "/dist/inkstone.js"];
  own.push("/pages/pdf/pdf.min.mjs", "/pages/pdf/pdf.worker.min.mjs");
  for (const [method, address, body] of requests) {
    if (address.startsWith("data:")) continue; // the page's icon
    const { origin, pathname, search } = new URL(address);
    assert.ok(method === "GET" && body === null && search === "" && origin === browser.url, `${method} ${address}`);
    assert.ok(own.includes(pathname), `nobody asked for ${address}`);
  }
  assert.ok(
    requests.some(([, address]) => address.endsWith("/pages/search.js")),
    "the requests were really seen",
  );
});

test("without the network notes are added and found all the same", async () => {
  await browser.context.setOffline(true);
  await person.drop(["offline.txt", "Goats give hair for brushes."]);
  await person.read(4);
  assert.equal((await person.ask("hair of goats"))[0].file, "offline.txt");
  await browser.context.setOffline(false);
});

test("the page speaks Chinese as well, everywhere and at once", async () => {
  await page.selectOption("#language", "zh");
  assert.equal(await page.getAttribute("html", "lang"), "zh-CN");
  const english = () =>
    page.evaluate(() => {
      const names = new RegExp(
        "Inkstone|Hugging Face|Enter|Esc|WebGPU|GPU|PDF|HTML|Markdown|owner|repo|https|all-MiniLM-L6-v2|stones\\.md|" +
          "paper\\.pdf|offline\\.txt|a very long name.*html|kB",
        "g",
      );
      const seen = [];
      for (const element of document.querySelectorAll("body *")) {
        if (
          element.closest(
            "[lang=en], .model-name, .model-facts, #model-facts dd, .brand, #toast, #spoken, script, noscript, option, " +
              ".facts, .kept, .passage, .asked, .note-name, h2",
          )
        )
          continue;
        const own = [...element.childNodes].filter(({ nodeType }) => nodeType === 3).map((node) => node.textContent);
        const said = ["aria-label", "title", "placeholder"].map((name) => element.getAttribute(name));
        for (const text of [...own, ...said]) {
          if (text && /[a-z]{2}/i.test(text.replace(names, "")) && !/[\u4e00-\u9fff]/.test(text)) seen.push(text);
        }
      }
      return seen;
    });
  assert.deepEqual(await english(), []);
  assert.equal(await page.getAttribute("#send", "aria-label"), "检索");
  assert.match(await person.shown("#found-count"), /^\d 段，来自 \d 篇笔记。$/);
  assert.match(await person.shown(".note-facts"), /· 1 段$/);
  await page.click("#open-drawer");
  assert.deepEqual(await english(), []);
  await page.click("#close-drawer");
  await page.fill("#question", "");
  assert.equal(await person.shown("#line"), "想找什么？");
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  assert.equal(await page.getAttribute("html", "lang"), "zh-CN", "the choice is kept");
  await page.selectOption("#language", "en");
});

test("another language leaves what was ticked as it was", async () => {
  await person.ready();
  await person.ask("inkstone");
  await page.locator(".passage input").first().uncheck();
  await page.selectOption("#language", "zh");
  const ticks = () => page.$$eval(".passage input", (all) => all.map(({ checked }) => checked).join());
  assert.match(await ticks(), /^false,true/);
  await page.selectOption("#language", "en");
  await page.click("#ask-chat");
  await page.waitForURL(/chat\.html$/);
  await page.waitForSelector("html[data-ready]");
  const prompt = await page.inputValue("#prompt");
  assert.ok(prompt.includes("\n\n[3] ") && !prompt.includes("[4]"), prompt);
  await page.fill("#prompt", "");
  await page.goto(`${browser.url}/search.html`);
  await person.ready();
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

/** Contrast of an element's letters on what lies below them, as WCAG computes it. */
const contrast = (selector) =>
  page.$eval(selector, (element) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const paint = (colour) => {
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      return canvas.getImageData(0, 0, 1, 1).data;
    };
    const luminance = ([r, g, b]) =>
      [r, g, b]
        .map((v) => v / 255)
        .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const grounds = [];
    for (let at = element; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
    const ground = luminance(grounds.map((colour) => [...paint(colour)]).at(-1));
    const ink = luminance([...paint(getComputedStyle(element).color)]);
    return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  });

test("what is written can be read, marks and faint words too, in both lights", async () => {
  await person.ask("wash the inkstone");
  for (const colorScheme of ["light", "dark"]) {
    // Colours that are still on their way say nothing.
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const selector of [
      "mark",
      ".passage-text",
      ".passage-place",
      ".passage-score",
      ".note-facts",
      "#found-count",
      "#ask-chat",
    ]) {
      const found = await contrast(selector);
      assert.ok(found >= 4.5, `${selector}, ${colorScheme}: ${found}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: null });
});

test("everything has a name, the keyboard reaches it in order, and the focus is seen", async () => {
  await page.click("#open-drawer");
  assert.deepEqual(await unreadable(page), []);
  await page.click("#close-drawer");
  await page.click("#model-button");
  assert.deepEqual(await unreadable(page), []);
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "model-button");
  await page.focus(".skip");
  const order = [];
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const framed = element.id === "question" || (outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 1);
      const name = element.id || element.getAttribute("aria-label") || element.className || element.tagName;
      return { id: element === document.body ? "" : name, framed };
    });
    if (!at.id) break;
    assert.ok(at.framed, `${at.id} shows that it has the focus`);
    order.push(at.id);
  }
  const place = (id) => order.indexOf(id) + 1 || assert.fail(`Tab never reaches ${id}: ${order}`);
  const way = [
    "add-notes",
    "Delete stones.md",
    "clear-notes",
    "model-button",
    "Take passage 1 along",
    "ask-chat",
    "question",
    "send",
  ];
  assert.deepEqual(
    [...way].sort((a, b) => place(a) - place(b)),
    way,
  );
  await page.focus("#open-drawer");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "question");
});

test("with the keyboard alone: delete, undo, search, tick, hand over", async () => {
  await page.focus("[aria-label='Delete offline.txt']");
  await page.keyboard.press("Enter");
  await page.focus("#toast button");
  await page.keyboard.press("Enter");
  await person.read(4);
  await page.keyboard.press("/");
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type("rice paper");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("asked")?.textContent === "rice paper");
  await page.focus(".passage input");
  await page.keyboard.press("Space");
  assert.equal(await page.isChecked(".passage input"), false);
  await page.keyboard.press("Space");
  await page.focus("#ask-chat");
  await page.keyboard.press("Enter");
  await page.waitForURL(/chat\.html$/);
  await page.waitForFunction(() => document.getElementById("prompt").value.includes("Rice paper is made of bark."));
  await page.fill("#prompt", "");
  await page.goto(`${browser.url}/search.html`);
  await person.ready();
});

test("on a phone nothing is cut off and the side panels keep to themselves", async () => {
  await page.setViewportSize({ width: 360, height: 640 });
  const wide = () =>
    page.evaluate(() => {
      const out = [...document.querySelectorAll("#main *, #rail *")].filter((one) => {
        const { left, right, width } = one.getBoundingClientRect();
        return width > 1 && getComputedStyle(one).visibility === "visible" && (right > innerWidth + 1 || left < -1);
      });
      return [document.scrollingElement.scrollWidth > innerWidth, ...out.map((one) => one.outerHTML.slice(0, 80))];
    });
  await person.ask("brushes and goats and a verylongwordthatnobodyeverbreaksbecausenobodyknowswhereitmaybebroken");
  assert.deepEqual(await wide(), [false]);
  await page.click("#open-rail");
  assert.equal(
    await page.evaluate(() => document.getElementById("main").inert),
    true,
    "what lies below can't be reached",
  );
  assert.equal(await page.evaluate(() => document.activeElement.id), "add-notes");
  assert.deepEqual(await wide(), [false], "the four pages have room side by side");
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "open-rail");
  await page.click("#open-drawer");
  assert.deepEqual(await wide(), [false]);
  await page.keyboard.press("Escape");
  const small = await page.$$eval(
    "#send, #open-rail, #open-drawer, #model-button, #ask-chat",
    (all) =>
      all.map((one) => one.getBoundingClientRect()).filter(({ width, height }) => width < 40 || height < 40).length,
  );
  assert.equal(small, 0, "fingers find the buttons");
  await page.setViewportSize({ width: 1280, height: 820 });
});

test("who asked for less motion gets none", async () => {
  const moving = () =>
    page.evaluate(() =>
      [...document.querySelectorAll("*")]
        .filter((element) => {
          const { animationName, transitionDuration } = getComputedStyle(element);
          return animationName !== "none" || /[1-9]/.test(transitionDuration);
        })
        .map((element) => element.outerHTML.slice(0, 60)),
    );
  assert.ok((await moving()).length > 10, "the measure itself finds what moves");
  await page.emulateMedia({ reducedMotion: "reduce" });
  assert.deepEqual(await moving(), []);
  await page.emulateMedia({ reducedMotion: null });
});

test("every page leads to every other", async () => {
  for (const from of ["chat", "paint", "search", "bench"]) {
    const other = await browser.newPage(`/${from}.html`);
    const links = await other.$$eval(".pages a", (all) => all.map((a) => [a.getAttribute("href"), a.ariaCurrent]));
    assert.deepEqual(
      links,
      ["chat", "paint", "search", "bench"].map((to) => [`${to}.html`, to === from ? "page" : null]),
    );
    await other.close();
  }
});

test("nothing reached the console", () => {
  assert.deepEqual(page.problems, []);
});

test("without WebGPU the page says which browsers have it, and shows the notes", async () => {
  await person.wish({ supported: false });
  await page.reload();
  await page.waitForSelector(".support");
  assert.match(await person.shown(".support"), /This browser has no WebGPU\.[\s\S]*Your notes are kept/);
  assert.equal(await page.isVisible("#composer"), false);
  assert.equal((await person.notes()).length, 4);
  assert.deepEqual(await unreadable(page), []);
});

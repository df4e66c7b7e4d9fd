// The parts of the chat page that need no browser: the tree of a conversation, what counts as a model's name, the
// texts. Bundled as the page bundles them and run here.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { before, test } from "node:test";
import { build } from "esbuild";

const ROOT = new URL("../../", import.meta.url);
let conversation, catalogue, dictionary, settings;

async function load(path) {
  const { outputFiles } = await build({
    entryPoints: [new URL(path, ROOT).pathname], bundle: true, format: "esm", target: "es2022", write: false,
  }); // prettier-ignore
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`);
}

before(async () => {
  conversation = await load("www/src/chat/conversation.ts");
  catalogue = await load("www/src/chat/catalogue.ts");
  dictionary = await load("www/src/shared-ui/dictionary.ts");
  settings = await load("www/src/chat/settings.ts");
});

const texts = (turns) => turns.map(({ text }) => text).join(" ");

test("a conversation keeps every branch and shows the chosen one", () => {
  const { addTurn, messagesFor, newConversation, siblings, switchBranch, thread } = conversation;
  const talk = newConversation("Be brief.");
  const q1 = addTurn(talk, null, "user", "q1");
  const a1 = addTurn(talk, q1.id, "assistant", "a1");
  const q2 = addTurn(talk, a1.id, "user", "q2");
  addTurn(talk, q2.id, "assistant", "a2");
  assert.equal(texts(thread(talk)), "q1 a1 q2 a2");

  // Another answer to the first question, then another wording of it: both begin threads of their own.
  const b1 = addTurn(talk, q1.id, "assistant", "b1");
  assert.equal(texts(thread(talk)), "q1 b1");
  const other = addTurn(talk, null, "user", "other");
  assert.equal(texts(thread(talk)), "other");
  assert.equal(talk.title, "q1", "an edit doesn't rename");
  assert.deepEqual(siblings(talk, q1).map(({ text }) => text), ["q1", "other"]); // prettier-ignore

  assert.equal(switchBranch(talk, other, 1), other, "nothing lies after the last");
  assert.equal(switchBranch(talk, other, -1), q1);
  assert.equal(texts(thread(talk)), "q1 b1", "the choice further down is remembered");
  switchBranch(talk, b1, -1);
  assert.equal(texts(thread(talk)), "q1 a1 q2 a2");
  assert.deepEqual(
    messagesFor(talk, q2).map(({ role, content }) => `${role}:${content}`),
    ["system:Be brief.", "user:q1", "assistant:a1", "user:q2"],
    "only the turns above the question are asked",
  );
});

test("an answer that failed before its first word is not sent to the model", () => {
  const { addTurn, messagesFor, newConversation } = conversation;
  const talk = newConversation("  ");
  const q1 = addTurn(talk, null, "user", "q1");
  const failed = addTurn(talk, q1.id, "assistant", "");
  const q2 = addTurn(talk, failed.id, "user", "q2");
  assert.deepEqual(messagesFor(talk, q2).map(({ content }) => content), ["q1", "q2"]); // prettier-ignore
});

test("titles are one short line and never cut a letter", () => {
  assert.equal(conversation.titleFrom("  one\n\ntwo"), "one");
  const long = conversation.titleFrom("😀".repeat(100));
  assert.equal([...long].length, 58);
  assert.ok(long.endsWith("😀…"));
});

test("an export comes back as it was; what is no export is refused", () => {
  const { addTurn, newConversation, readExport, switchBranch, thread, toMarkdown } = conversation;
  const talk = newConversation("Be brief.");
  const q1 = addTurn(talk, null, "user", "q1");
  const a1 = addTurn(talk, q1.id, "assistant", "a1");
  addTurn(talk, q1.id, "assistant", "b1");
  switchBranch(talk, thread(talk)[1], -1);
  const back = readExport(JSON.parse(JSON.stringify(talk)));
  assert.equal(texts(thread(back)), "q1 a1");
  assert.equal(back.turns.length, 3);
  assert.notEqual(back.id, talk.id, "it never overwrites the one it came from");
  const markdown = toMarkdown(back, { user: "You", assistant: "Model", system: "System" });
  assert.equal(markdown, "# q1\n\n**System**\n\nBe brief.\n\n**You**\n\nq1\n\n**Model**\n\na1\n");

  const broken = [
    undefined, null, 7, "text", {}, { title: "t" }, { title: "t", turns: [null] }, { title: "t", turns: [{}] },
    { ...talk, turns: [...talk.turns, talk.turns[0]] },
    { ...talk, turns: [{ ...q1, parent: a1.id }, { ...a1, parent: q1.id }] },
    { ...talk, turns: [{ ...q1, role: "tool" }] },
    { ...talk, turns: [{ ...q1, text: 5 }] },
  ]; // prettier-ignore
  for (const record of broken) assert.equal(readExport(record), undefined, JSON.stringify(record));
});

test("what people type or paste becomes a source, or is refused at once", () => {
  const { choiceFromText } = catalogue;
  const cases = {
    "owner/repo": "owner/repo",
    " owner/repo@v1 ": "owner/repo@v1",
    "owner/repo:Q8_0": "owner/repo:Q8_0",
    "owner/repo/sub/file.gguf": "owner/repo/sub/file.gguf",
    "https://huggingface.co/owner/repo": "owner/repo",
    "https://huggingface.co/owner/repo/": "owner/repo",
    "huggingface.co/owner/repo/tree/main": "owner/repo",
    "https://hf.co/owner/repo/blob/main/file.gguf?x=1": "owner/repo/file.gguf",
    "https://huggingface.co/owner/repo/resolve/main/file.gguf": "owner/repo/file.gguf",
    "https://huggingface.co/owner/repo/blob/v2/file.gguf": "https://huggingface.co/owner/repo/blob/v2/file.gguf",
    "https://example.org/a/b.gguf": "https://example.org/a/b.gguf",
    "http://localhost:8080/m/": "http://localhost:8080/m/",
    "./models/a.gguf": "./models/a.gguf",
  };
  for (const [typed, source] of Object.entries(cases)) assert.equal(choiceFromText(typed)?.source, source, typed);
  for (const typed of ["", " ", "llama", "no such thing", "a/b c", "ftp://example.org/a.gguf", "javascript:alert(1)"]) {
    assert.equal(choiceFromText(typed), undefined, typed);
  }
});

test("every named model can be told apart and says what a person wants to know", () => {
  const { CATALOGUE, choiceFromText } = catalogue;
  assert.equal(new Set(CATALOGUE.map(({ source }) => source)).size, CATALOGUE.length);
  for (const entry of CATALOGUE) {
    assert.ok(entry.size > 5e7 && entry.parameters > 1e8 && entry.licence && entry.quantization, entry.name);
    assert.equal(choiceFromText(entry.source)?.listed, entry, entry.source);
  }
});

test("files from this device: one GGUF file, or a folder with paths as the model has them", () => {
  const { choiceFromFiles } = catalogue;
  const file = (name) => new File(["x"], name);
  const one = choiceFromFiles(new Map([["a.gguf", file("a.gguf")], ["notes.txt", file("notes.txt")]])); // prettier-ignore
  assert.ok(one.source instanceof File);
  const folder = choiceFromFiles(
    new Map(["m/config.json", "m/model.safetensors", "m/sub/x.json", "beside.txt"].map((path) => [path, file(path)])),
  );
  assert.deepEqual(Object.keys(folder.source), ["config.json", "model.safetensors", "sub/x.json"]);
  assert.equal(folder.name, "m");
  assert.equal(choiceFromFiles(new Map([["a.txt", file("a.txt")]])), undefined);
});

test("settings stay inside their ranges", () => {
  const { clamped, DEFAULTS, RANGES } = settings;
  assert.equal(clamped("temperature", 9), 2);
  assert.equal(clamped("temperature", 0.30000000000000004), 0.3);
  assert.equal(clamped("topK", 3.4), 3);
  assert.equal(clamped("maxTokens", -1), 1);
  for (const wrong of [NaN, Infinity, "1", null, undefined]) assert.equal(clamped("topP", wrong), null);
  for (const [name, value] of Object.entries(DEFAULTS)) {
    if (name in RANGES && value !== null) assert.equal(clamped(name, value), value, `${name} starts inside its range`);
  }
});

test("both languages have every text, with the same places to fill", () => {
  const { en, zh } = dictionary.dictionaries;
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
  const places = (text) => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort(); // prettier-ignore
  for (const key of Object.keys(en)) {
    assert.ok(en[key].trim() && zh[key].trim(), key);
    assert.deepEqual(places(zh[key]), places(en[key]), key);
  }
});

test("every text that the pages ask for exists, and every text is asked for", async () => {
  const read = (path) => readFile(new URL(path, ROOT), "utf8");
  const sources = await readdir(new URL("www/src", ROOT), { recursive: true });
  const code = sources.filter((path) => path.endsWith(".ts") && !/^(?:public|internal)\/|dictionary/.test(path));
  const pages = (await readdir(new URL("www", ROOT))).filter((name) => name.endsWith(".html"));
  const text = (
    await Promise.all([...code.map((path) => read(`www/src/${path}`)), ...pages.map((name) => read(`www/${name}`))])
  ).join("\n");
  const { en } = dictionary.dictionaries;
  for (const [, key] of text.matchAll(/data-t(?:-label|-title|-placeholder)?="(\w+)"/g)) assert.ok(key in en, key);
  const built = /^(?:set|why|empty|note|switch|shape|noise)_/; // put together from a prefix and a name
  const unused = Object.keys(en).filter((key) => !built.test(key) && !new RegExp(`["']${key}["']`).test(text));
  assert.deepEqual(unused, []);
});

test("the palette keeps a contrast of 4.5 : 1 in both lights", async () => {
  const css = await readFile(new URL("www/style.css", ROOT), "utf8");
  const palette = (start) => {
    const block = css.slice(css.indexOf(start), css.indexOf("}", css.indexOf(start)));
    return Object.fromEntries(
      [...block.matchAll(/--([\w-]+): (#[\da-f]{6});/g)].map(([, name, value]) => [name, value]),
    );
  };
  const light = palette(":root {");
  const dark = palette(':root[data-theme="dark"] {');
  assert.deepEqual(
    palette(':root:not([data-theme="light"]) {'),
    dark,
    "the system's dark and the chosen one are the same",
  );
  const luminance = (hex) => {
    const [r, g, b] = [1, 3, 5].map((at) => {
      const c = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  assert.ok(contrast("#777777", "#ffffff") < 4.5, "the measure itself can fail");
  for (const [name, colours] of Object.entries({ light, dark })) {
    for (const ground of ["paper", "sheet", "shade"]) {
      for (const ink of ["ink", "faint", "seal", "jade"]) {
        const measured = contrast(colours[ink], colours[ground]);
        assert.ok(measured >= 4.5, `${name}: ${ink} on ${ground} is ${measured.toFixed(2)}`);
      }
    }
    assert.ok(contrast(colours["on-seal"], colours.seal) >= 4.5, `${name}: a button's letters`);
    assert.ok(contrast(colours.ink, colours["seal-wash"]) >= 4.5, `${name}: trouble`);
    assert.ok(contrast(colours.faint, colours["seal-wash"]) >= 4.5, `${name}: trouble's details`);
  }
});

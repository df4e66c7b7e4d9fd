// Families whose layers are of several kinds, in a browser: windows and two rotations (gemma3), convolutions beside
// attention (lfm2), norms behind the branches (olmo2). All logits against `transformers`; and text, token by token.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser } from "./browser.mjs";
import { goldenCase } from "./golden-case.mjs";
import { misbehaviour } from "./library-server.mjs";

/** The row of tests/support/tolerance.rs for models whose file holds f32. */
const NMSE = 1e-10;
/** Sixty letters that every case has tokens for. */
const LETTERS = Array.from({ length: 60 }, (_, i) => 33 + ((i * 3 + Math.floor((i * i) / 7)) % 58));
const PROMPT = String.fromCharCode(...LETTERS);
const ANSWER = 12;
const files = {};
let browser, page;

before(async () => {
  const blank = (_, response) =>
    response
      .writeHead(200, { "content-type": "text/html" })
      .end("<!doctype html><link rel=icon href=data:,><title>t</title>");
  browser = await openBrowser({ routes: { "/m/": misbehaviour(files, []), "/blank": blank } });
  page = await browser.newPage("/blank");
});

after(() => browser?.close());

/** Energy of what differs by energy of what was wanted. */
function nmse(want, got) {
  assert.equal(got.length, want.length);
  const energy = (of) => want.reduce((sum, _, i) => sum + of(i) ** 2, 0);
  return energy((i) => got[i] - want[i]) / energy((i) => want[i]);
}

/** The index of the largest of each row. */
function best(logits, vocab) {
  const rows = Array.from({ length: logits.length / vocab }, (_, row) => logits.slice(row * vocab, (row + 1) * vocab));
  return rows.map((row) => row.indexOf(Math.max(...row)));
}

for (const name of ["gemma3", "lfm2", "olmo2"]) {
  test(`${name} computes what transformers computes, and says one by one what it says at once`, async () => {
    const { files: folder, tokens, logits, vocab } = goldenCase(name);
    for (const [file, body] of Object.entries(folder)) files[`/m/${name}/${file}`] = { body };
    const said = await page.evaluate(
      async ([url, names, tokens, prompt, maxTokens]) => {
        const { LanguageModel } = await import("/dist/inkstone.js");
        const bytes = async (name) => (await fetch(`${url}${name}`)).blob();
        const files = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await bytes(name)])));
        const model = await LanguageModel.load(files, { quantize: "none" });
        const logits = Array.from(await model.logits(tokens));
        const options = { raw: true, ignoreEos: true, temperature: 0, maxTokens };
        const answers = [await model.generate(prompt, options), await model.generate(prompt, options)];
        const ids = await model.tokenize(prompt, { special: true });
        const again = Array.from(await model.logits([...ids, ...answers[0].tokens]));
        await model.dispose();
        return { architecture: model.info.architecture, logits, answers, ids, again };
      },
      [`/m/${name}/`, Object.keys(folder), tokens, PROMPT, ANSWER],
    );
    assert.equal(said.architecture, name);
    const error = nmse(logits, said.logits);
    console.log(`${name}: NMSE ${error.toExponential(1)} over ${said.logits.length / vocab} rows`);
    assert.equal(said.logits.length, 200 * vocab);
    assert.ok(error <= NMSE, `NMSE ${error}`);
    assert.deepEqual(best(said.logits, vocab), best(logits, vocab));

    const [first, second] = said.answers;
    assert.equal(first.tokens.length, ANSWER);
    assert.deepEqual(first.tokens, best(said.again, vocab).slice(said.ids.length - 1, -1));
    assert.equal(first.usage.cachedTokens, 0);
    // What the first one left is taken back to the prompt.
    const reused = second.usage.cachedTokens;
    assert.ok(reused > 0 && reused < said.ids.length, `${reused} tokens reused`);
    assert.deepEqual(second.tokens, first.tokens);
    assert.deepEqual(page.problems, []);
  });
}

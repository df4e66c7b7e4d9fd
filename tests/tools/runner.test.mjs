// The runner of `npm test`: a suite that could not run is a failure, never a skip.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { root } from "../../tools/shell.mjs";

let folder;
before(() => void (folder = mkdtempSync(join(tmpdir(), "inkstone-runner-"))));
after(() => rmSync(folder, { recursive: true }));

/** The outcome of a stage, and what it printed. It runs in a process of its own, whose output is no part of this one's. */
function outcomeOf(stage, more = {}) {
  const script = `
    import { cargoTest, nodeTest, runStage } from ${JSON.stringify(join(root, "tools/test.mjs"))};
    const outcome = await runStage("stage", ${stage});
    console.log("\\n" + JSON.stringify(outcome));`;
  // Node runs no tests inside of tests, as it is told by this.
  const env = { ...process.env, ...more, NODE_TEST_CONTEXT: undefined };
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { env, encoding: "utf8" });
  const { passed, failed } = JSON.parse(stdout.trimEnd().split("\n").at(-1));
  return { passed, failed, printed: stdout };
}

/** The same of a test file with this text. */
function outcomeOfTests(text) {
  const file = join(folder, "a.test.mjs");
  writeFileSync(file, `import assert from "node:assert/strict";\nimport { test } from "node:test";\n${text}`);
  return outcomeOf(`() => nodeTest([${JSON.stringify(file)}])`);
}

test("what is skipped, put off, empty or broken is a failure", () => {
  for (const [text, passed, failed] of [
    ['test("a", () => {});', 1, 0],
    ['test("a", () => {}); test.skip("b", () => {});', 1, 1],
    ['test("a", () => {}); test.todo("b");', 1, 1],
    ['test("a", () => {}); test("b", () => assert.fail());', 1, 1],
    ["throw new Error();", 0, 1],
  ]) {
    const got = outcomeOfTests(text);
    assert.deepEqual([got.passed, got.failed], [passed, failed], text);
  }
  for (const stage of [
    "async () => ({ passed: 0, failed: 0, skipped: 0, closing: [] })",
    "() => nodeTest([])",
    '() => Promise.reject(new Error("it could not run"))',
  ]) {
    assert.equal(outcomeOf(stage).failed, 1, stage);
  }
});

test("without a browser its suites fail", () => {
  const suite = "tests/web/paint-golden.test.mjs";
  const tests = readFileSync(join(root, suite), "utf8").match(/^test\(/gm).length;
  const { passed, failed, printed } = outcomeOf(`() => nodeTest(["${suite}"])`, { CHROMIUM: "/nowhere/chromium" });
  assert.deepEqual([passed, failed], [0, tests], printed);
  assert.match(printed, /There is no Chromium/);
});

test("without a Vulkan driver its suites fail", () => {
  const stage = '() => cargoTest(["--test", "ops", "--", "add::"], "/nowhere/icd.json")';
  const { passed, failed, printed } = outcomeOf(stage);
  assert.equal(passed, 0, printed);
  assert.match(printed, /test result: FAILED\. 0 passed; [1-9]\d* failed/);
  assert.ok(failed > 0, printed);
});

// What set-up says where it can't help.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browserTrouble, chromium } from "../../tools/setup.mjs";

const nothing = { named: undefined, browser: false, driver: false };

test("without a browser Ubuntu's people are told in a sentence what to do; elsewhere apt brings one", () => {
  const sentence = browserTrouble({ ...nothing, system: "ubuntu" });
  assert.match(sentence, /^Ubuntu's chromium is a stub.*set CHROMIUM to the path of a Chrome or Chromium.*\.$/);
  assert.doesNotMatch(sentence, /\n/);
  // /usr/bin/chromium may be that stub: nothing lies beside it.
  assert.equal(browserTrouble({ ...nothing, browser: true, system: "ubuntu" }), sentence);
  for (const system of ["debian", ""]) assert.equal(browserTrouble({ ...nothing, system }), undefined);
  const there = { named: undefined, browser: true, driver: true };
  for (const named of [undefined, "/opt/chrome/chrome"]) {
    assert.equal(browserTrouble({ ...there, named, system: "ubuntu" }), undefined);
  }
});

test("a CHROMIUM that leads nowhere is named", () => {
  assert.match(browserTrouble({ ...nothing, named: "/a/b", system: "debian" }), /^CHROMIUM names \/a\/b, where nothing is: set/);
  const alone = { named: "/a/b", browser: true, driver: false, system: "debian" };
  assert.match(browserTrouble(alone), /^Beside \/a\/b lies no vk_swiftshader_icd\.json/);
  const before = process.env.CHROMIUM;
  try {
    process.env.CHROMIUM = "/a/b";
    assert.equal(chromium(), undefined);
    process.env.CHROMIUM = process.execPath;
    assert.equal(chromium(), process.execPath);
  } finally {
    if (before === undefined) delete process.env.CHROMIUM;
    else process.env.CHROMIUM = before;
  }
});

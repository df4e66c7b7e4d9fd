// What the bench makes of its measurements. The measurements themselves take minutes: `npm run bench`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { panels, plot } from "../../tools/bench/plot.mjs";
import { report } from "../../tools/bench/report.mjs";
import { combine, median, summary } from "../../tools/bench/statistics.mjs";
import { cell, markdown, short, tables, text } from "../../tools/bench/table.mjs";
import { UNKNOWN, targets } from "../../tools/bench/targets.mjs";

const MIB = 2 ** 20;
const counts = { dispatches: 154, passes: 1, submits: 1, bindGroups: 2, buffers: 3, writes: 4, maps: 1, mapped: 64 };
const record = (name, values, rest = {}) => ({ name, mode: "null", values, ...rest });
const system = (kind, name, records, rest = {}) => {
  const named = records.map((one) => ({ ...one, name }));
  return { ...combine(named), kind, version: "1.2.3", ...rest };
};

/** Results of a mode in which Inkstone decodes and steps at these rates, and a rival at those. */
function results(mode, { ours, theirs, rival = {} }) {
  const bytes = { peak: 90 * MIB, wasm: 20 * MIB, host: 150 * MIB, download: { raw: 3e6, gzip: 9e5 } };
  const parts = { perToken: counts, perStep: counts, ...bytes };
  const two = (values) => [record("", values, parts), record("", values, parts)];
  const model = 75 * MIB;
  const mine = system("inkstone", "Inkstone", two(ours), { model });
  const systems = [mine, system("other", "Other", two(theirs), { model, ...rival })];
  const how = { date: "2026-01-02", processor: "a processor", runs: 2, seconds: 300, tokens: 4 };
  return { modes: { [mode]: { ...how, language: systems, pictures: systems } } };
}
const outcome = (list, what, nth = 0) => list.filter((one) => one.what === what)[nth];

test("medians and spreads", () => {
  assert.equal(median([10, 9, 100]), 10);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([]), undefined);
  assert.deepEqual(summary([3, undefined, NaN, 1, 2]), { median: 2, least: 1, most: 3, runs: 3 });
  assert.equal(summary([undefined]), undefined);
});

test("the rounds of a system become one", () => {
  const merged = combine([
    record("A", { load: 1, decode: 5 }, { peak: 10, host: NaN, perToken: { dispatches: 4, passes: 1 } }),
    record("A", { load: 3, decode: 9 }, { peak: 30, host: 7, perToken: { dispatches: 6, passes: 1 } }),
    record("A", { load: 2 }, { phase: "decode", over: 60 }),
    record("A", {}, { phase: "load", error: "broke" }),
  ]);
  assert.deepEqual(merged.values.load, { median: 2, least: 1, most: 3, runs: 3 });
  assert.deepEqual(merged.values.decode, { median: 7, least: 5, most: 9, runs: 2 });
  assert.equal(merged.peak, 20);
  assert.equal(merged.host, 7, "where it couldn't be told it doesn't count");
  assert.deepEqual(merged.perToken, { dispatches: 5, passes: 1 });
  assert.deepEqual(merged.limits, { decode: 60 });
  assert.deepEqual(merged.errors, ["load: broke"]);
});

test("numbers and cells", () => {
  assert.deepEqual([0.1234, 12.34, 123.4, 1234567, 7, 0].map(short), ["0.12", "12.3", "123", "1,234,567", "7", "0"]);
  assert.deepEqual([undefined, NaN].map(short), ["-", "-"]);
  assert.equal(cell({ median: 2, least: 1, most: 3, runs: 3 }), "2 (1-3)");
  assert.equal(cell({ median: 2, least: 2, most: 2, runs: 1 }), "2");
  assert.equal(cell(undefined, 300), "over 300 s");
  assert.equal(cell(undefined, undefined), "-");
});

test("tables line up, leave out what nobody measured, and keep notes", () => {
  const rival = { note: "is different" };
  const found = tables(results("null", { ours: { decode: 800, first: 9 }, theirs: { decode: 20 }, rival }));
  assert.equal(found.length, 2);
  const [{ head, rows, notes }] = found;
  assert.deepEqual(head, ["", "Inkstone 1.2.3", "Other 1.2.3"]);
  const row = (title) => rows.find(([name]) => name === title)?.slice(1);
  assert.deepEqual(row("decode, tokens/s"), ["800", "20"]);
  assert.deepEqual(row("bind groups and buffers created"), ["5", "5"]);
  assert.deepEqual(row("ratio of the two"), ["1.20", "1.20"]);
  assert.deepEqual(row("host bytes at their peak, MiB"), ["150", "150"]);
  assert.deepEqual(row("first token after load, ms"), ["9", "-"]);
  assert.equal(row("load, ms"), undefined);
  assert.deepEqual(notes, ["Other: is different"]);
  const lines = text(found.slice(0, 1)).split("\n").filter((line) => line.startsWith("  ") && !line.includes("*"));
  assert.equal(new Set(lines.map((line) => line.length)).size, 1);
  const columns = markdown(found[0]).split("\n").filter((line) => line.startsWith("|"));
  assert.ok(columns.every((line) => line.split("|").length === 5));
});

test("targets are met, missed or open", () => {
  const good = targets(results("null", { ours: { decode: 400, step: 2 }, theirs: { decode: 40, step: 10 } })).null;
  assert.ok(good.every(({ met }) => met === true), JSON.stringify(good));
  assert.equal(outcome(good, "decode").got, "10 times");

  const bad = targets(results("null", { ours: { decode: 299, step: 2.1 }, theirs: { decode: 40, step: 10 } })).null;
  assert.equal(outcome(bad, "decode").met, false);
  assert.equal(outcome(bad, "decode", 1).met, false);
  assert.equal(outcome(bad, "UNet step").met, false);

  const heavy = results("null", { ours: { decode: 400 }, theirs: { decode: 40 } });
  const download = { raw: 3e6, gzip: 1_000_001 };
  Object.assign(heavy.modes.null.language[0], { peak: 94 * MIB, wasm: 65 * MIB, download });
  const found = targets(heavy).null;
  for (const what of ["GPU bytes at their peak to the model file's", "WebAssembly memory", "code, gzipped"]) {
    assert.equal(outcome(found, what).met, false, what);
  }
  assert.equal(outcome(found, "UNet step").met, undefined, "nobody measured it");
});

test("the best rival counts, and a CPU is none", () => {
  const all = results("null", { ours: { decode: 400 }, theirs: { decode: 10 } });
  const { language } = all.modes.null;
  language.push(system("other", "Third", [record("", { decode: 50 })]));
  language.push(system("wllama", "wllama (CPU)", [record("", { decode: 390 })]));
  assert.deepEqual([targets(all).null[0].got, targets(all).null[0].met], ["8 times", false]);
  // Who failed is no rival that was beaten.
  language.push(system("other", "Broken", [record("", {}, { phase: "decode", error: "broke" })]));
  assert.equal(targets(all).null[0].got, "8 times, without Broken");
});

test("a rival over the time limit bounds the ratio", () => {
  // Inkstone takes 1 s and 4 tokens at 1 a second: 5 s.
  const ours = { first: 1000, decode: 1, step: 1000 };
  const limited = (seconds) => {
    const rival = { limits: { decode: seconds, step: seconds } };
    return results("real", { ours, theirs: {}, rival });
  };
  const decode = (seconds) => outcome(targets(limited(seconds)).real, "decode", 1);
  assert.deepEqual([decode(20).got, decode(20).met], ["over 4 times", true]);
  assert.deepEqual([decode(10).got, decode(10).met], ["over 2 times", undefined], "it may still be three");
  assert.equal(outcome(targets(limited(20)).real, "UNet step").met, true);
  assert.equal(outcome(targets(limited(20)).real, "prefill of 128").met, undefined, "nobody came to it");
});

test("bars are as long as what they stand for", () => {
  const rival = { name: "<Other> & Co" };
  const found = panels(results("null", { ours: { decode: 800 }, theirs: { decode: 200 }, rival }));
  assert.equal(found[0].bars.length, 2);
  assert.ok(!found.some(({ title }) => title.startsWith("Host time of a UNet step")), "nobody measured it");
  const svg = plot(found.slice(0, 1));
  const widths = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width));
  assert.ok(Math.abs(widths[0] / widths[1] - 4) < 0.01);
  assert.match(svg, /&lt;Other&gt; &amp; Co/);
  assert.doesNotMatch(svg, /NaN|undefined|<Other>/);
  assert.equal(svg.split("<text").length, svg.split("</text>").length);
});

test("the report says when, how often, and what came of the targets", () => {
  const page = report(results("null", { ours: { decode: 100 }, theirs: { decode: 20 } }));
  assert.match(page, /--mode null --runs 2 --timeout 300 --report`, 2026-01-02, 2 rounds, a processor/);
  assert.match(page, /\| decode \| at least 300 tokens\/s \| 100 tokens\/s \| not met \|/);
  assert.match(page, /^- decode, at least 300 tokens\/s: /m);
  assert.doesNotMatch(page, /NaN|undefined/);
});

test("the report that is here says of each target that is not met why", () => {
  const page = readFileSync(new URL("../../docs/bench.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| (.+) \| (at (?:most|least) .+) \| .+ \| (met|not met|open) \|$/gm)];
  assert.ok(rows.length >= 7, "the targets are in it");
  for (const [, what, wanted, outcome] of rows) {
    assert.equal(page.includes(`- ${what}, ${wanted}: `), outcome !== "met", `${what}, ${wanted}`);
  }
  assert.ok(!page.includes(UNKNOWN), "reasons are written into tools/bench/targets.mjs");
});

test("the rivals' versions are pinned, and no registry is named", () => {
  const read = (name) => readFileSync(new URL(`../../tools/bench/${name}`, import.meta.url), "utf8");
  const { dependencies } = JSON.parse(read("package.json"));
  const { packages } = JSON.parse(read("package-lock.json"));
  for (const [name, version] of Object.entries(dependencies)) {
    assert.equal(packages[`node_modules/${name}`].version, version);
  }
  assert.ok(Object.values(packages).every(({ resolved }) => resolved === undefined));
  for (const line of read("requirements.txt").trim().split("\n")) assert.match(line, /^[\w.-]+==[\d.]+$/);
});

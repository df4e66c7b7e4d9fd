// docs/bench.md, from the results.

import { markdown, tables } from "./table.mjs";
import { targetTable, targets } from "./targets.mjs";

const INTRODUCTION = `# Bench

Written by \`npm run bench -- --report\`. Headless Chromium on SwiftShader, an adapter that computes on the CPU. Each
system runs in a browser of its own, the systems take turns, and all get the same weights: random ones of a real
model's shape, from one safetensors folder, in the format that each of them reads. Numbers are medians, in brackets the
least and the most of the rounds.

- **Null GPU**: every dispatch is issued with an empty grid. The calls are the real ones and so is what they cost the
  host; results are garbage. Tokens per second are then the most that a very fast GPU could get out of this host.
  Counts hold on every machine.
- **Real**: SwiftShader computes. This says which system runs well without a GPU and nothing about speed on one.

No speed of a GPU is here: browsers on one were not measured. (docs/speed-log.md has kernels on one, natively.)

![Bars of the numbers below](bench.svg)
`;

const READING = `## How to read it

- Decode and step are differences: an answer of many tokens less one of a single token, many steps less one. The first
  token after load, or the first picture, includes what a system compiles only then; Inkstone compiles and warms every
  kernel while it loads, which SwiftShader makes long. Loading includes fetching code and model from this machine,
  without any cache.
- Peak GPU bytes are those of buffers that were created and not destroyed, the moment there were most; the cache has
  room for 520 tokens where a system lets one choose.
- WebAssembly memory is that of the page and its workers. Host bytes are what the page's process takes at its peak,
  above what it takes for an empty page: code, JavaScript, WebAssembly, and what is on its way to the GPU.
`;

/** The whole page. */
export function report(results) {
  const parts = [INTRODUCTION];
  const goals = targets(results);
  for (const mode of ["null", "real"].filter((mode) => results.modes[mode])) {
    const { date, processor, runs, seconds } = results.modes[mode];
    const title = mode === "null" ? "Null GPU" : "Real";
    const rounds = runs === 1 ? "1 round" : `${runs} rounds`;
    const command = `npm run bench -- --mode ${mode} --runs ${runs} --timeout ${seconds} --report`;
    parts.push(`## ${title}\n\n\`${command}\`, ${date}, ${rounds}, ${processor}.\n`);
    for (const table of tables({ modes: { [mode]: results.modes[mode] } })) parts.push(`${markdown(table)}\n`);
    parts.push(`${markdown(targetTable(mode, goals[mode])).trimEnd()}\n`);
  }
  parts.push(READING);
  return parts.join("\n").replace(/\n{3,}/g, "\n\n");
}

// What is measured of a system, in a browser of its own: one round, one record.

import { Over, openSystem } from "./browser.mjs";
import { median } from "./statistics.mjs";

/** A cache of 512 tokens, and room for the one that answers the longest prompt. */
const CONTEXT = 520;
const PICTURE_STEPS = 8;
/** Prompt of the first token and of decoding, tokens decoded, repetitions: a CPU that computes gets less to do. */
export const PLANS = {
  null: { prompt: 128, tokens: 64, repeat: 3, warm: true },
  real: { prompt: 16, tokens: 4, repeat: 1, warm: false },
};
const LONG = [128, 512];

/** Runs in the page: one request, its time in ms and what the meter counted meanwhile. */
const ASK = async ({ prompt, tokens, first }) => {
  // Forgetting may take a request of its own, and that would be the first.
  if (!first) await bench.system.forget();
  return bench.counted(() => bench.system.ask(prompt, tokens));
};

/** Runs in the page: opens the system. */
const OPEN = async (options) => {
  const begun = performance.now();
  bench.system = await bench.module.open(options);
  return { ms: performance.now() - begun, levels: meter.read() };
};

/** Runs `measure(record, evaluate)`; what it wrote into the record before a time limit or an error stays. */
async function record(system, { mode, places, seconds }, measure) {
  const record = { name: system.name, mode, values: {} };
  const { module, pretendF16 } = system;
  const opened = await openSystem({ module, pretendF16, nullGpu: mode === "null", places });
  try {
    await measure(record, async (what, job, argument) => {
      record.phase = what;
      return await opened.evaluate(job, argument, seconds);
    });
    delete record.phase;
  } catch (error) {
    if (error instanceof Over) record.over = seconds;
    else record.error = error.message.slice(0, 600);
  }
  try {
    record.host = await opened.hostPeak();
    record.download = await opened.download();
  } finally {
    await opened.close();
  }
  return record;
}

/** The counts of a unit of work: many less few, by the number of units between them. */
function each(few, many, units) {
  return Object.fromEntries(Object.keys(few).map((name) => [name, (many[name] - few[name]) / units]));
}

/** A language model: load, first token, decoding, prompts. */
export function language(system, setting) {
  const plan = PLANS[setting.mode];
  const options = { mode: setting.mode, model: "/models/language", contextLength: CONTEXT, device: system.device };
  return record(system, setting, async (record, evaluate) => {
    const { values } = record;
    const ask = async (what, length, tokens) => {
      const prompt = setting.prompts[length];
      const done = await evaluate(what, ASK, { prompt, tokens, first: what === "first" });
      const { answer } = done;
      if (answer.tokens !== tokens) throw new Error(`${answer.tokens} tokens instead of ${tokens}`);
      const whole = answer.prompt === length && !answer.cached;
      if (!whole) throw new Error(`a prompt of ${length}: ${JSON.stringify(answer)}`);
      record.peak = done.levels.peak;
      record.wasm = done.levels.wasm;
      return done;
    };
    const load = await evaluate("load", OPEN, options);
    values.load = load.ms;
    record.loadPeak = load.levels.peak;
    values.first = (await ask("first", plan.prompt, 1)).ms;
    values.ready = values.load + values.first;
    // The first time of anything may compile; where computing is slow that doesn't matter.
    if (plan.warm) await ask("decode", plan.prompt, 3);
    const rates = [];
    for (let i = 0; i < plan.repeat; i++) {
      const few = await ask("decode", plan.prompt, 1);
      const many = await ask("decode", plan.prompt, 1 + plan.tokens);
      rates.push((1000 * plan.tokens) / (many.ms - few.ms));
      record.perToken = each(few.counts, many.counts, plan.tokens);
    }
    values.decode = median(rates);
    for (const length of LONG) {
      const what = `prefill${length}`;
      if (plan.warm) await ask(what, length, 1);
      const times = [];
      for (let i = 0; i < plan.repeat; i++) times.push((await ask(what, length, 1)).ms);
      values[what] = (1000 * length) / median(times);
    }
  });
}

/** Runs in the page: so many steps. */
const STEPS = (count) => bench.counted(() => bench.system.steps(count));

/** An image model: load, a step of the UNet, the decoder. */
export function pictures(system, setting) {
  // Real: a picture takes much longer than a step, whose difference a single one would leave to chance.
  const [steps, repeat] = setting.mode === "null" ? [PICTURE_STEPS, 3] : [4, 1];
  const options = { mode: setting.mode, model: "/models/pictures", size: 16 };
  return record(system, setting, async (record, evaluate) => {
    const { values } = record;
    const run = async (count) => {
      const done = await evaluate("step", STEPS, count);
      record.peak = done.levels.peak;
      record.wasm = done.levels.wasm;
      return done;
    };
    const load = await evaluate("load", OPEN, options);
    values.load = load.ms;
    if (setting.mode === "null") {
      // Whatever a system compiles only then is in it.
      const first = await evaluate("first", () => bench.counted(() => bench.system.first()));
      values.first = first.ms;
      values.ready = values.load + values.first;
    } else {
      // A step and a decode at once might not end in time.
      await run(1);
    }
    const times = [];
    for (let i = 0; i < repeat; i++) {
      const few = await run(1);
      const many = await run(1 + steps);
      times.push((many.ms - few.ms) / steps);
      record.perStep = each(few.counts, many.counts, steps);
    }
    values.step = median(times);
    const decodes = [];
    for (let i = 0; i < repeat; i++) decodes.push(await evaluate("decode", () => bench.system.decode()));
    values.decode = median(decodes);
  });
}

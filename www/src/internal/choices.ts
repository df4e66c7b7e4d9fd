import type { DeviceOptions, LoadOptions, Tried } from "../public/types.js";
import type { AdapterInfo } from "./generated.js";
import { readNote, writeNote } from "./store.js";

type Options = DeviceOptions & Pick<LoadOptions, "cache" | "activations">;
type Measure = () => Promise<Tried[]>;

const NOTE = "choices.json";
/** Counted up when kernels have changed so much that what was measured of them says nothing any more. */
const VERSION = 1;

/** What was found out, by adapter: also where the browser keeps nothing. */
const known: Record<string, string[]> = {};

/** What was measured holds for an adapter, as far as the browser says which it is, and for the kernels in use. */
function keyOf({ tier, family = "auto", activations = "f32" }: Options, adapter: AdapterInfo): string {
  const { vendor, architecture, device, description } = adapter;
  return JSON.stringify([VERSION, vendor, architecture, device, description, tier ?? "", family, activations]);
}

/**
 * The choices of kernels to make on this adapter, as they were measured before or, where `measure` is given, are now. None
 * if the options name a family: who does wants its kernels as they are.
 */
export async function choicesFor(options: Options, adapter: AdapterInfo, measure?: Measure): Promise<string[]> {
  const { family = "auto", tune = family === "auto" } = options;
  if (!tune) return [];
  const key = keyOf(options, adapter);
  const found = known[key] ?? (await readNote<typeof known>(NOTE))?.[key];
  if (found) return (known[key] = found);
  try {
    if (measure) await remeasured(options, adapter, measure);
  } catch (error) {
    console.warn(`inkstone: which kernels are quicker here can't be measured: ${error}`);
  }
  return known[key] ?? [];
}

/** Measures, and remembers what came of it. */
export async function remeasured(options: Options, adapter: AdapterInfo, measure: Measure): Promise<Tried[]> {
  const keep = async (choices: string[]) => {
    const key = keyOf(options, adapter);
    known[key] = choices;
    if (options.cache !== false) await writeNote(NOTE, { ...(await readNote<typeof known>(NOTE)), [key]: choices });
  };
  // Should the driver break over it, the next visit does without.
  await keep([]);
  const tried = await measure();
  await keep(tried.filter(({ chosen }) => chosen).map(({ choice }) => choice));
  return tried;
}

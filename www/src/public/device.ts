import { connection } from "../internal/client.js";
import { plain } from "../internal/plain.js";
import { describeSource } from "../internal/source.js";
import { InkstoneError } from "./error.js";
import type { DeviceOptions, Estimate, LoadOptions, ProbeResult, Roofline, Source, Tried } from "./types.js";

/** What this browser's GPU can do, and whether every kernel computes rightly on it. */
export async function probe(options: DeviceOptions & { signal?: AbortSignal } = {}): Promise<ProbeResult> {
  const { signal, ...rest } = options;
  return connection().call("probe", { options: plain(rest) }, { signal });
}

/**
 * What this browser's GPU can do at best, measured by two kernels that do nothing else: reading memory, and fused
 * multiply-adds. What a model reaches is then a fraction of it. Takes a moment, and the whole GPU during that.
 */
export async function roofline(options: DeviceOptions & { signal?: AbortSignal } = {}): Promise<Roofline> {
  const { signal, ...rest } = options;
  return connection().call("roofline", { options: plain(rest) }, { signal });
}

/**
 * Measures, in about a second, which of a few pairs of kernels are quicker on this adapter, and remembers it: models loaded from
 * here on use those. Empty on an adapter that computes on the CPU, and shorter than usual on a very slow one. With `activations:
 * "int8"` it tries what rounds, too, and is for models that are loaded so.
 */
export async function tune(
  options: DeviceOptions & Pick<LoadOptions, "activations"> & { signal?: AbortSignal } = {},
): Promise<Tried[]> {
  const { signal, ...rest } = options;
  return connection().call("tune", { options: plain(rest) }, { signal });
}

/** Whether a model fits, before it is downloaded: reads the headers of its files only. */
export async function estimate(source: Source, options: LoadOptions = {}): Promise<Estimate> {
  const { signal, onProgress: _, lora, hub, ...rest } = options;
  if (lora?.length) throw new InkstoneError("Unsupported", "`lora` works with image models only: leave it out");
  return connection().call("estimate", { source: describeSource(source, hub), options: plain(rest) }, { signal });
}

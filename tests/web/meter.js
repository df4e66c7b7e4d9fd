// Counts what a worker asks of WebGPU. Its text goes in front of the worker's own; a page asks for the counts over the
// BroadcastChannel "meter". With `globalThis.nullGpu` every pipeline is of an empty kernel and every dispatch gets an
// empty grid: the calls and what they cost the host are the real ones, but nothing is compiled or computed: a token
// takes as long as the host takes to ask for it.
{
  const flows = {
    dispatches: 0,
    passes: 0,
    submits: 0,
    buffers: 0,
    bindGroups: 0,
    pipelines: 0,
    modules: 0,
    writes: 0,
    written: 0, // bytes
    maps: 0,
    mapped: 0, // bytes
    starved: 0, // results that came when nothing else had been submitted: the GPU waits for the host
  };
  /** `live`: bytes of buffers that nobody destroyed; `peak`: the most there ever were. */
  const levels = { live: 0, peak: 0 };
  /** When things happened, in calls of anything that is counted here. */
  const order = { lastPipeline: 0, firstWeight: 0, lastWeight: 0, firstDispatch: 0 };
  /**
   * Every submit: its dispatches and passes; the bytes of weights that these are bound to, and to how many ranges of
   * weights more of them are bound than to others; the time from its encoder's creation on.
   */
  let batches = [];
  let clock = 0;
  let batch;
  let memory;
  const living = new Map();
  /** Bind group -> the ranges of weights in it, each an object of its own. */
  const weights = new WeakMap();
  const ranges = new Map();

  /** Calls `before` with the object, the arguments and, once it is there, the result of every call of a method. */
  const watch = (type, name, before, after) => {
    const { prototype } = globalThis[type];
    const original = prototype[name];
    prototype[name] = function (...args) {
      clock += 1;
      args = before?.(this, args) ?? args;
      const result = original.apply(this, args);
      after?.(this, args, result);
      return result;
    };
  };
  const tally = (key) => () => void (flows[key] += 1);

  watch("GPUDevice", "createBuffer", tally("buffers"), (device, _, buffer) => {
    living.set(buffer, device);
    levels.live += buffer.size;
    levels.peak = Math.max(levels.peak, levels.live);
  });
  const forget = (buffer) => living.delete(buffer) && (levels.live -= buffer.size);
  watch("GPUBuffer", "destroy", (buffer) => void forget(buffer));
  watch("GPUDevice", "destroy", (device) => {
    for (const [buffer, owner] of living) if (owner === device) forget(buffer);
  });
  watch("GPUDevice", "createBindGroup", tally("bindGroups"), (_, [{ entries }], group) => {
    const bound = new Set();
    for (const { resource } of entries) {
      const { buffer, offset = 0, size } = resource;
      if (buffer?.label !== "weights") continue;
      if (!ranges.has(buffer)) ranges.set(buffer, new Map());
      const known = ranges.get(buffer);
      if (!known.has(offset)) known.set(offset, { size });
      bound.add(known.get(offset));
    }
    weights.set(group, bound);
  });
  const makeModule = GPUDevice.prototype.createShaderModule;
  const emptyModules = new WeakMap();
  /** The pipeline with a kernel that does nothing, for which the layout holds as well. */
  const emptied = (device, descriptor) => {
    if (!emptyModules.has(device)) {
      const code = "@compute @workgroup_size(1) fn main() {}";
      emptyModules.set(device, makeModule.call(device, { code }));
    }
    return { ...descriptor, compute: { module: emptyModules.get(device), entryPoint: "main" } };
  };
  watch("GPUDevice", "createShaderModule", tally("modules"));
  for (const name of ["createComputePipeline", "createComputePipelineAsync"]) {
    watch("GPUDevice", name, (device, [descriptor]) => {
      flows.pipelines += 1;
      order.lastPipeline = clock;
      return globalThis.nullGpu ? [emptied(device, descriptor)] : undefined;
    });
  }
  watch("GPUQueue", "writeBuffer", (_, [buffer, , data, offset = 0, size]) => {
    const unit = data.BYTES_PER_ELEMENT ?? 1;
    flows.writes += 1;
    flows.written += size === undefined ? data.byteLength - offset * unit : size * unit;
    if (buffer.label === "weights") {
      order.firstWeight ||= clock;
      order.lastWeight = clock;
    }
  });
  watch("GPUDevice", "createCommandEncoder", () => {
    batch = { dispatches: 0, passes: 0, bound: new Map(), begun: performance.now() };
  });
  watch("GPUCommandEncoder", "beginComputePass", () => {
    flows.passes += 1;
    batch.passes += 1;
  });
  let group;
  watch("GPUComputePassEncoder", "setBindGroup", (_, [index, bound]) => {
    if (index === 0) group = bound;
  });
  watch("GPUComputePassEncoder", "dispatchWorkgroups", (_, args) => {
    flows.dispatches += 1;
    batch.dispatches += 1;
    for (const range of weights.get(group)) batch.bound.set(range, (batch.bound.get(range) ?? 0) + 1);
    order.firstDispatch ||= clock;
    return globalThis.nullGpu ? [0, 1, 1] : args;
  });
  watch("GPUQueue", "submit", tally("submits"), () => {
    const ms = performance.now() - batch.begun;
    const { dispatches, passes, bound } = batch;
    const least = Math.min(...bound.values());
    const again = [...bound.values()].filter((times) => times > least).length;
    const bytes = [...bound.keys()].reduce((sum, { size }) => sum + size, 0);
    batches.push({ dispatches, passes, weights: bytes, again, ms });
  });
  watch("GPUBuffer", "mapAsync", tally("maps"), (buffer, [, offset = 0, size = buffer.size - offset], mapped) => {
    flows.mapped += size;
    const { submits } = flows;
    mapped.then(
      () => void (flows.starved += Number(flows.submits === submits)),
      () => undefined,
    );
  });

  for (const name of ["instantiate", "instantiateStreaming"]) {
    const original = WebAssembly[name];
    WebAssembly[name] = async (...args) => {
      const result = await original.apply(WebAssembly, args);
      memory = (result.instance ?? result).exports.memory;
      return result;
    };
  }

  const channel = new BroadcastChannel("meter");
  channel.onmessage = () => {
    channel.postMessage({ flows, levels, order, batches, wasm: memory?.buffer.byteLength ?? 0 });
    batches = [];
  };
}

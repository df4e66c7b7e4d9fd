// Counts what a page and its workers ask of WebGPU, and their WebAssembly memory. Runs before any code of the page:
// `meter.read()` gives the sums. They lie in shared memory, a row for each realm, so that they can be read while a
// worker is busy; the page must be cross-origin isolated. With `globalThis.benchNullGpu` every dispatch gets an empty
// grid: the calls and what they cost the host are real, nothing is computed. `benchWorkerText`: more text for workers.
(function meterMain() {
  const scope = globalThis;
  if (scope.meter) return;
  const NAMES = [
    "dispatches",
    "passes",
    "submits",
    "bindGroups",
    "buffers",
    "writes",
    "written",
    "maps", // of buffers that are read
    "mapped", // bytes
    "pipelines",
    "modules",
    "live", // bytes of buffers that nobody destroyed
    "wasm", // bytes
  ];
  const AT = Object.fromEntries(NAMES.map((name, i) => [name, i]));
  const [WIDTH, ROWS] = [NAMES.length, 64];
  const isWorker = typeof WorkerGlobalScope !== "undefined" && scope instanceof WorkerGlobalScope;
  // Before the rows: how many there are, and the peak of `live` over all of them.
  let shared, counter, cells;
  let row = new Float64Array(WIDTH);
  const attach = (buffer) => {
    shared = buffer;
    counter = new Int32Array(buffer, 0, 2);
    cells = new Float64Array(buffer);
    const index = Atomics.add(counter, 0, 1);
    if (index >= ROWS) throw new Error("the meter has no row left");
    const mine = cells.subarray(2 + index * WIDTH, 2 + (index + 1) * WIDTH);
    mine.set(row);
    row = mine;
  };
  if (!isWorker) attach(new SharedArrayBuffer(8 * (2 + WIDTH * ROWS)));

  const add = (name, amount = 1) => void (row[AT[name]] += amount);
  const total = (name) => {
    let sum = 0;
    for (let i = 0; i < counter[0]; i++) sum += cells[2 + i * WIDTH + AT[name]];
    return sum;
  };
  const hold = (bytes) => {
    add("live", bytes);
    if (cells) cells[1] = Math.max(cells[1], total("live"));
  };

  /** Calls `before` with the object and the arguments of every call of a method; what it returns replaces these. */
  const watch = (type, name, before, after) => {
    const prototype = scope[type]?.prototype;
    if (!prototype?.[name]) return;
    const original = prototype[name];
    prototype[name] = function (...args) {
      args = before?.(this, args) ?? args;
      const result = original.apply(this, args);
      after?.(this, args, result);
      return result;
    };
  };
  const tally = (name) => () => add(name);
  // Weak: what a page lets go is not to be kept by its meter.
  const owners = new WeakMap();
  const held = new WeakMap();
  const change = (device, bytes) => {
    held.set(device, (held.get(device) ?? 0) + bytes);
    hold(bytes);
  };
  watch("GPUDevice", "createBuffer", tally("buffers"), (device, _, buffer) => {
    owners.set(buffer, device);
    change(device, buffer.size);
  });
  watch("GPUBuffer", "destroy", (buffer) => {
    const device = owners.get(buffer);
    // All that a destroyed device held has gone already.
    if (held.has(device)) change(device, -buffer.size);
    owners.delete(buffer);
  });
  watch("GPUDevice", "destroy", (device) => {
    hold(-(held.get(device) ?? 0));
    held.delete(device);
  });
  watch("GPUDevice", "createBindGroup", tally("bindGroups"));
  watch("GPUDevice", "createShaderModule", tally("modules"));
  watch("GPUDevice", "createComputePipeline", tally("pipelines"));
  watch("GPUDevice", "createComputePipelineAsync", tally("pipelines"));
  watch("GPUQueue", "submit", tally("submits"));
  watch("GPUQueue", "writeBuffer", (_, [, , data, offset = 0, size]) => {
    const unit = data.BYTES_PER_ELEMENT ?? 1;
    add("writes");
    add("written", size === undefined ? data.byteLength - offset * unit : size * unit);
  });
  watch("GPUCommandEncoder", "beginComputePass", tally("passes"));
  watch("GPUComputePassEncoder", "dispatchWorkgroups", (_, args) => {
    add("dispatches");
    return scope.benchNullGpu ? [0, 1, 1] : args;
  });
  watch("GPUComputePassEncoder", "dispatchWorkgroupsIndirect", tally("dispatches"));
  watch("GPUBuffer", "mapAsync", (buffer, [mode, offset = 0, size = buffer.size - offset]) => {
    if (mode !== 1) return;
    add("maps");
    add("mapped", size);
  });

  // ---- WebAssembly memory: made outside, or exported by an instance
  const memories = new Set();
  const note = (memory) => {
    if (!(memory instanceof WebAssembly.Memory)) return;
    memories.add(memory);
    weigh();
  };
  const weigh = () => {
    const bytes = [...memories].reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
    row[AT.wasm] = Math.max(row[AT.wasm], bytes);
  };
  const { Memory } = WebAssembly;
  WebAssembly.Memory = new Proxy(Memory, {
    construct(target, args) {
      const memory = new target(...args);
      note(memory);
      return memory;
    },
  });
  // `instanceof` goes through the proxy to the same prototype.
  const imported = (imports) => Object.values(imports ?? {}).flatMap((group) => Object.values(group));
  for (const name of ["instantiate", "instantiateStreaming"]) {
    const original = WebAssembly[name];
    WebAssembly[name] = (source, imports) => {
      const theirs = imported(imports).filter((value) => value instanceof WebAssembly.Memory);
      return original.call(WebAssembly, source, imports).then((result) => {
        // What an instance was given and exports again was counted where it was made.
        const { exports } = result.instance ?? result;
        for (const value of Object.values(exports)) if (!theirs.includes(value)) note(value);
        return result;
      });
    };
  }
  const { grow } = Memory.prototype;
  Memory.prototype.grow = function (...args) {
    const pages = grow.apply(this, args);
    weigh();
    return pages;
  };
  // Code can grow a memory without JavaScript, and a worker isn't asked.
  if (isWorker) setInterval(weigh, 250);

  // ---- workers get this text before their own
  const text = `(${meterMain})();\n${scope.benchWorkerText ?? ""}`;
  const scripts = (parts) => URL.createObjectURL(new Blob(parts, { type: "text/javascript" }));
  /** The same script at an address that stays: whoever made a blob's may take it back at once. */
  const lasting = (address) => {
    if (!address.startsWith("blob:")) return address;
    const request = new XMLHttpRequest();
    request.open("GET", address, false);
    request.send();
    return scripts([request.responseText]);
  };
  if (scope.Worker) {
    scope.Worker = new Proxy(scope.Worker, {
      construct(target, [url, options]) {
        const address = lasting(new URL(String(url), scope.location.href).href);
        const first = scripts([text]);
        // Imports run in their order, and before anything else of a module.
        const lines =
          options?.type === "module"
            ? `import ${JSON.stringify(first)};\nimport ${JSON.stringify(address)};`
            : `importScripts(${JSON.stringify(first)}, ${JSON.stringify(address)});`;
        const worker = new target(scripts([lines]), options);
        worker.postMessage({ benchMeter: shared });
        return worker;
      },
    });
  }
  if (isWorker) {
    scope.addEventListener("message", (event) => {
      if (!event.data?.benchMeter) return;
      event.stopImmediatePropagation();
      if (!shared) attach(event.data.benchMeter);
    });
  }

  scope.meter = {
    read() {
      weigh();
      return { ...Object.fromEntries(NAMES.map((name) => [name, total(name)])), peak: cells[1] };
    },
  };
})();

// wllama (llama.cpp in WebAssembly) as the bench calls it. `device`: "webgpu", or "cpu" with one thread for each core.
export async function open({ model, contextLength, device }) {
  const { Wllama } = await import("/npm/@wllama/wllama/esm/index.js");
  const silent = { debug() {}, log() {}, warn() {}, error() {} };
  const wllama = new Wllama({ default: "/npm/@wllama/wllama/esm/wasm/wllama.wasm" }, { logger: silent });
  wllama.setCompat?.(null);
  await wllama.loadModelFromUrl(new URL(`${model}/model-q4_0.gguf`, location.href).href, {
    n_ctx: contextLength,
    n_threads: navigator.hardwareConcurrency,
    n_gpu_layers: device === "webgpu" ? 99999 : 0,
    useCache: false,
    warmup: false,
  });
  return {
    async ask({ text }, tokens) {
      const answer = await wllama.createCompletion({
        prompt: text,
        max_tokens: tokens,
        temperature: 0,
        top_k: 1,
        stream: true,
        ignore_eos: true,
        cache_prompt: false,
        timings_per_token: true,
      });
      let timings;
      for await (const part of answer) timings = part.timings ?? timings;
      return { tokens: timings.predicted_n, prompt: timings.prompt_n };
    },
    forget() {},
  };
}

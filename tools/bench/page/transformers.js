// Transformers.js as the bench calls it: 4-bit weights (MatMulNBits), float32 activations, WebGPU.
export async function open({ model }) {
  const { AutoModelForCausalLM, Tensor, env } = await import(
    "/npm/@huggingface/transformers/dist/transformers.web.min.js"
  );
  const runtime = "/npm/@huggingface/transformers/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify";
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = `${model}/`;
  env.useBrowserCache = false;
  env.useWasmCache = false;
  env.backends.onnx.wasm.wasmPaths = { mjs: `${runtime}.mjs`, wasm: `${runtime}.wasm` };
  const loaded = await AutoModelForCausalLM.from_pretrained("onnx", { dtype: "q4", device: "webgpu" });
  return {
    async ask({ ids }, tokens) {
      const shape = [1, ids.length];
      const output = await loaded.generate({
        input_ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), shape),
        attention_mask: new Tensor("int64", new BigInt64Array(ids.length).fill(1n), shape),
        max_new_tokens: tokens,
        do_sample: false,
        eos_token_id: [],
      });
      return { tokens: (output.data ?? output.sequences.data).length - ids.length, prompt: ids.length };
    },
    forget() {},
  };
}

// onnxruntime-web as the bench calls it, for the parts of an image model. What a part returns is read back, since a
// scheduler in JavaScript needs it.
export async function open({ model, size }) {
  const folder = "/npm/onnxruntime-web/dist";
  const ort = await import(`${folder}/ort.webgpu.bundle.min.mjs`);
  const runtime = `${folder}/ort-wasm-simd-threaded.asyncify`;
  ort.env.wasm.wasmPaths = { mjs: `${runtime}.mjs`, wasm: `${runtime}.wasm` };
  const session = (name) =>
    ort.InferenceSession.create(`${model}/onnx/${name}.onnx`, { executionProviders: ["webgpu"] });
  const unet = await session("unet");
  const decoder = await session("vae_decoder");
  const numbers = (shape) => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i));
    return new ort.Tensor("float32", values, shape);
  };
  const sample = () => numbers([1, 4, size, size]);
  const steps = async (count) => {
    for (let i = 0; i < count; i++) {
      const timestep = new ort.Tensor("float32", Float32Array.of(500), [1]);
      const words = numbers([1, 77, 256]);
      const { out } = await unet.run({ sample: sample(), timestep, encoder_hidden_states: words });
      await out.getData();
    }
  };
  const decode = async () => {
    const begun = performance.now();
    const { out } = await decoder.run({ latent: sample() });
    await out.getData();
    return performance.now() - begun;
  };
  return {
    steps,
    decode,
    async first() {
      await steps(1);
      await decode();
    },
  };
}

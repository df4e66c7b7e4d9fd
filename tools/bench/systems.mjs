// Who takes part, and where a comparison is not like for like.

const BOTH = ["null", "real"];
const LOGITS = "It reads back the whole row of logits for every token.";
const EMBEDDING =
  "Its file holds the embedding as float32 beside the 4-bit output matrix, as SmolLM2's published q4 files do.";
const PRETENDED =
  "llama.cpp's WebGPU back end needs shader-f16, which this adapter lacks: here it is pretended, for without it the " +
  "CPU computes. Its counts and host times are real; what its shaders would compute is not.";

/** `module`: the page's; `kind`: the name for --only; `file`: what it loads, inside the folder of models. */
export const LANGUAGE = [
  { name: "Inkstone", kind: "inkstone", module: "inkstone.js", modes: BOTH, file: "language/model-q4_0.gguf" },
  {
    name: "Transformers.js",
    kind: "transformers",
    module: "transformers.js",
    package: "@huggingface/transformers",
    modes: BOTH,
    file: "language/onnx/onnx/model_q4.onnx",
    notes: {
      null: `${EMBEDDING} ${LOGITS}`,
      real: LOGITS,
    },
  },
  {
    name: "wllama (WebGPU)",
    kind: "wllama",
    module: "wllama.js",
    package: "@wllama/wllama",
    device: "webgpu",
    pretendF16: true,
    modes: ["null"],
    file: "language/model-q4_0.gguf",
    notes: {
      null: PRETENDED,
    },
  },
  {
    name: "wllama (CPU)",
    kind: "wllama",
    module: "wllama.js",
    package: "@wllama/wllama",
    device: "cpu",
    modes: ["real"],
    file: "language/model-q4_0.gguf",
    notes: { real: "Computes in WebAssembly with SIMD on all cores, not through WebGPU: the yardstick for a CPU." },
  },
];

export const PICTURES = [
  { name: "Inkstone", kind: "inkstone", module: "inkstone-images.js", modes: BOTH },
  {
    name: "onnxruntime-web",
    kind: "ort",
    module: "onnxruntime.js",
    package: "onnxruntime-web",
    modes: BOTH,
    notes: Object.fromEntries(
      BOTH.map((mode) => [
        mode,
        "Reads back every step's prediction, since a scheduler in JavaScript needs it. It loads no text encoder.",
      ]),
    ),
  },
];

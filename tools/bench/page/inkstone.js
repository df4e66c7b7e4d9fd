// Inkstone's language model as the bench calls it. `mode`: "null" takes the kernels that a GPU gets; the self-test is
// left out there, since nothing is computed.
export async function open({ mode, model, contextLength }) {
  const { LanguageModel } = await import("/dist/inkstone.js");
  const how = mode === "null" ? { family: "generic", selfTest: false } : {};
  const loaded = await LanguageModel.load(`${model}/model-q4_0.gguf`, { cache: false, contextLength, ...how });
  const ask = async ({ text }, tokens) => {
    const result = await loaded.generate(text, { raw: true, ignoreEos: true, temperature: 0, maxTokens: tokens });
    return { tokens: result.tokens.length, prompt: result.usage.promptTokens, cached: result.usage.cachedTokens };
  };
  return {
    ask,
    // What is kept of the prompt before would spare the next one, which must not be in what is measured.
    forget: () => ask({ text: "#" }, 1),
  };
}

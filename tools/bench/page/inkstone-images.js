// Inkstone's image model as the bench calls it. With a guidance of 1 a step is one pass through the UNet.
export async function open({ mode, model }) {
  const { ImageModel } = await import("/dist/inkstone.js");
  const how = mode === "null" ? { family: "generic", selfTest: false } : {};
  const loaded = await ImageModel.load(`${model}/diffusers/`, { cache: false, vae: "full", ...how });
  const paint = async (steps) => {
    const [picture] = await loaded.generate("a", { steps, guidanceScale: 1, seed: 1, sampler: "ddim" });
    return picture.timings;
  };
  return {
    /** So many steps and what a picture takes besides: the text and the decoder. */
    steps: paint,
    first: () => paint(1),
    async decode() {
      return (await paint(1)).decodeMs;
    },
  };
}

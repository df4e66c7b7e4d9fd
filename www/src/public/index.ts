export { cache } from "./cache.js";
export { estimate, probe, roofline, tune } from "./device.js";
export { EmbeddingModel } from "./embedding.js";
export { InkstoneError } from "./error.js";
export type { ErrorCode } from "./error.js";
export { ImageModel } from "./image.js";
export { LanguageModel } from "./language.js";
export { parseParameters, readParameters } from "./parameters.js";
export type * from "./types.js";

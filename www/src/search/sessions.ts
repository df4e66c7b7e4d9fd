/** The two models that this page may have open: one makes vectors, the other puts what was found in order. */
import { EmbeddingModel } from "inkstone";
import type { Choice } from "../shared-ui/models.js";
import { Session } from "../shared-ui/session.js";
import { choiceFromText } from "./catalogue.js";

const kind = (remember: string) => ({
  load: (source: Parameters<typeof EmbeddingModel.load>[0], options: Parameters<typeof EmbeddingModel.load>[1]) =>
    EmbeddingModel.load(source, options),
  options: () => ({}),
  fromText: choiceFromText,
  remember,
});

export const embedder = new Session<EmbeddingModel>(kind("search."));
export const reranker = new Session<EmbeddingModel>(kind("search.rerank."));

/** The model that is open, as the notes remember it. */
export interface Reader {
  key: string;
  name: string;
  model: EmbeddingModel;
}

/** What makes vectors now; undefined while nothing does. */
export function reader(): Reader | undefined {
  const now = embedder.state.value;
  if (now.step !== "ready" || !now.model.info.embeds) return undefined;
  return { key: now.choice.key, name: modelName(now.choice, now.model), model: now.model };
}

export function modelName(choice: Choice, model: EmbeddingModel): string {
  return choice.listed?.name || model.info.name || choice.name;
}

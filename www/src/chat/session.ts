/** The language model that this page has open. */
import { LanguageModel } from "inkstone";
import type { Choice } from "../shared-ui/models.js";
import { Session, type State as StateOf } from "../shared-ui/session.js";
import { choiceFromText } from "./catalogue.js";
import { settings } from "./settings.js";

export type State = StateOf<LanguageModel>;

export const session = new Session<LanguageModel>({
  load: (source, options) => LanguageModel.load(source, options),
  options: () => ({ contextLength: settings.value.contextLength ?? undefined }),
  fromText: choiceFromText,
  remember: "",
});

/** What people call the open model: files often carry a name from the training run instead. */
export function modelName(choice: Choice, model: LanguageModel): string {
  return choice.listed?.name || model.info.name || choice.name;
}

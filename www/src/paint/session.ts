/** The image model that this page has open. */
import { ImageModel } from "inkstone";
import { Session, type State as StateOf } from "../shared-ui/session.js";
import { choiceFromText } from "./catalogue.js";

export type State = StateOf<ImageModel>;

export const session = new Session<ImageModel>({
  load: (source, options) => ImageModel.load(source, options),
  options: () => ({}),
  fromText: choiceFromText,
  remember: "paint.",
});

/** What a page does by itself when it opens: asks the GPU, then opens the model of last time or looks at one. */
import { announce } from "./announce.js";
import { byId, fill } from "./dom.js";
import { t } from "./i18n.js";
import { choiceOf, type Choice, type Listed } from "./models.js";
import type { Session } from "./session.js";
import { supportPage } from "./support.js";
import { troubleOf } from "./trouble.js";

/**
 * `own`: the model that the page brings along, if it does; `without`: what the page can't do without WebGPU, and what it
 * still can.
 */
export async function firstModel<Model extends { dispose(): Promise<void> }>(
  session: Session<Model>,
  fromText: (text: string) => Choice | undefined,
  own: Listed | undefined,
  without: () => string,
): Promise<void> {
  const asked = fromText(new URLSearchParams(location.search).get("model") ?? "");
  const last = session.lastChoice();
  const answer = await session
    .askDevice()
    .catch((error: unknown) => ({ supported: false, reason: troubleOf(error).message }));
  if (!answer.supported) {
    fill(
      byId("no-gpu"),
      supportPage(without(), answer.reason, () => location.reload()),
    );
    byId("desk").dataset.gpu = "none";
    return;
  }
  if (asked) return session.choose(asked);
  if (last?.died) announce(t("diedOpening", { name: last.choice.name }));
  else if (last && (await session.keptPart(last.choice)) === "whole") {
    await session.open(last.choice);
    return;
  }
  // Without being asked the page looks only at the model it brings along: naming a hub model would tell the hub.
  if (own) await session.choose(choiceOf(own));
}

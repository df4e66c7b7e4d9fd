/** The line in the corner: tokens per second, how full the context is, memory on the GPU. */
import { byId } from "../shared-ui/dom.js";
import { t } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { thread } from "./conversation.js";
import type { Desk } from "./desk.js";
import { session } from "./session.js";

export function drawStats(desk: Desk): void {
  const now = session.state.value;
  const model = now.step === "ready" ? now.model : undefined;
  const writing = desk.writing.value;
  const parts: string[] = [];
  if (writing) {
    const seconds = (performance.now() - writing.first) / 1000;
    if (writing.first === 0) parts.push(t("reading"));
    else if (writing.pieces > 1 && seconds > 0.2) parts.push(numbers.tokensPerSecond((writing.pieces - 1) / seconds));
  } else {
    const stats = thread(desk.open.value).findLast((turn) => turn.stats)?.stats;
    if (stats && stats.completionTokens > 1) parts.push(numbers.tokensPerSecond(stats.tokensPerSecond));
    if (stats && model) {
      const used = stats.promptTokens + stats.completionTokens;
      parts.push(t("contextUsed", { used: numbers.count(used), all: numbers.count(model.info.contextLength) }));
    }
  }
  if (model) {
    const { weights, cache, scratch } = model.info.bytes;
    parts.push(t("memory", { size: numbers.bytes(weights + cache + scratch) }));
  }
  byId("stats").textContent = parts.join(" · ");
}

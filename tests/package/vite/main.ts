// What a web developer writes, and nothing else: no plug-in, no copied file, no configuration.
import { LanguageModel, probe, type Message } from "inkstone";

const output = document.querySelector("output")!;

async function chat(source: string, messages: Message[]): Promise<{ text: string; pieces: number }> {
  const model = await LanguageModel.load(source);
  const generation = model.generate(messages, { temperature: 0, maxTokens: 64 });
  let pieces = 0;
  for await (const text of generation) {
    output.append(text);
    pieces += 1;
  }
  const { text } = await generation;
  await model.dispose();
  return { text, pieces };
}

Object.assign(window, { chat, probe });

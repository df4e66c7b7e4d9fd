import { cancelled, connection, notify, type Connection } from "../internal/client.js";
import { LiveGeneration } from "../internal/generation.js";
import { plain, tokenIds } from "../internal/plain.js";
import { Queue } from "../internal/queue.js";
import { describeSource } from "../internal/source.js";
import { InkstoneError } from "./error.js";
import type {
  GenerateOptions,
  Generation,
  GenerationResult,
  LoadOptions,
  Message,
  ModelInfo,
  Source,
} from "./types.js";

/** A language model on the GPU. All computing happens in a worker; the page's thread stays free. */
export class LanguageModel {
  readonly info: ModelInfo;
  readonly #connection: Connection;
  readonly #model: number;
  readonly #queue = new Queue();
  /** Aborted by `dispose`. */
  readonly #life = new AbortController();

  private constructor(link: Connection, model: number, info: ModelInfo) {
    this.#connection = link;
    this.#model = model;
    this.info = info;
  }

  /**
   * Streams a model's files to the GPU. Rejects with an {@link InkstoneError}; with `Cancelled` as soon as
   * `options.signal` is aborted.
   */
  static async load(source: Source, options: LoadOptions = {}): Promise<LanguageModel> {
    const { signal, onProgress, lora, hub, ...rest } = options;
    if (lora?.length) throw new InkstoneError("Unsupported", "`lora` works with image models only: leave it out");
    const description = describeSource(source, hub);
    if (signal?.aborted) throw cancelled();
    const link = connection();
    const { model, info } = await link.call(
      "load",
      { source: description, options: plain(rest) },
      {
        signal,
        event: (progress) => {
          if (!signal?.aborted) notify(onProgress, progress);
        },
        late: ({ model }) => void free(link, model),
      },
    );
    return new LanguageModel(link, model, info);
  }

  /** Continues a text or answers a conversation. Calls wait for the ones before them. */
  generate(input: string | Message[], options: GenerateOptions = {}): Generation {
    const { signal, onReasoning, ...rest } = options;
    const own = new AbortController();
    const stop = AbortSignal.any([own.signal, this.#life.signal, ...(signal ? [signal] : [])]);
    const run = (push: (text: string) => void) =>
      this.#queue.run(
        stop,
        async () => {
          const { answer, abort } = this.#connection.start(
            "generate",
            { model: this.#model, input: plain(input), options: plain(rest) },
            ({ text, reasoning }) => {
              if (text !== "") push(text);
              if (reasoning !== "") notify(onReasoning, reasoning);
            },
          );
          stop.addEventListener("abort", abort, { once: true });
          try {
            return await answer;
          } finally {
            stop.removeEventListener("abort", abort);
          }
        },
        () => abortedBeforeStart(),
      );
    const refused = () => Promise.reject(disposed());
    return new LiveGeneration(this.#life.signal.aborted ? refused : run, () => own.abort());
  }

  /** Token ids of a text. With `special`, the text of special tokens becomes them and the model's own are added. */
  async tokenize(text: string, options: { special?: boolean } = {}): Promise<number[]> {
    this.#alive();
    const { special = false } = options;
    return Array.from(await this.#connection.call("tokenize", { model: this.#model, text: String(text), special }));
  }

  async detokenize(tokens: number[]): Promise<string> {
    this.#alive();
    return this.#connection.call("detokenize", { model: this.#model, tokens: tokenIds(tokens) });
  }

  /** Logits after each token, `[tokens.length * info.vocabulary]`, row-major. For tests and scoring. */
  async logits(tokens: number[]): Promise<Float32Array> {
    this.#alive();
    const ids = tokenIds(tokens);
    return this.#queue.run(
      this.#life.signal,
      () => this.#connection.call("logits", { model: this.#model, tokens: ids }),
      () => Promise.reject(cancelled()),
    );
  }

  /** Aborts what is under way or waiting and frees every byte on the GPU. Further calls are refused. */
  async dispose(): Promise<void> {
    if (!this.#life.signal.aborted) this.#life.abort();
    await this.#queue.idle();
    await free(this.#connection, this.#model);
  }

  #alive(): void {
    if (this.#life.signal.aborted) throw disposed();
  }
}

export async function free(link: Connection, model: number): Promise<void> {
  try {
    await link.call("dispose", { model });
  } catch (error) {
    // A worker that is gone has freed everything with it.
    if (!link.dead) throw error;
  }
}

export function disposed(): InkstoneError {
  return new InkstoneError("Unsupported", "the model has been disposed of: load it again");
}

function abortedBeforeStart(): GenerationResult {
  return {
    text: "",
    tokens: [],
    finishReason: "abort",
    usage: { promptTokens: 0, cachedTokens: 0, completionTokens: 0 },
    timings: { prefillMs: 0, decodeMs: 0, firstTokenMs: 0, tokensPerSecond: 0 },
  };
}

import { cancelled, connection, notify, type Connection } from "../internal/client.js";
import { plain } from "../internal/plain.js";
import type { Calls, Share } from "../internal/protocol.js";
import { Queue } from "../internal/queue.js";
import { describeSource } from "../internal/source.js";
import { InkstoneError } from "./error.js";
import { disposed, free } from "./language.js";
import type { EmbeddingInfo, EmbedOptions, LoadOptions, Ranked, Source, TextsOptions } from "./types.js";

/** A model on the GPU that makes vectors of texts, or tells how well texts answer a question. */
export class EmbeddingModel {
  readonly info: EmbeddingInfo;
  readonly #connection: Connection;
  readonly #model: number;
  readonly #queue = new Queue();
  /** Aborted by `dispose`. */
  readonly #life = new AbortController();

  private constructor(link: Connection, model: number, info: EmbeddingInfo) {
    this.#connection = link;
    this.#model = model;
    this.info = info;
  }

  /**
   * Streams a model's files to the GPU: a folder of Sentence Transformers or of transformers, or a GGUF file. Rejects
   * with an {@link InkstoneError}; with `Cancelled` as soon as `options.signal` is aborted.
   */
  static async load(source: Source, options: LoadOptions = {}): Promise<EmbeddingModel> {
    const { signal, onProgress, lora, hub, activations, ...rest } = options;
    if (lora?.length) throw new InkstoneError("Unsupported", "`lora` works with image models only: leave it out");
    if (activations)
      throw new InkstoneError("Unsupported", "`activations` works with language models only: leave it out");
    const description = describeSource(source, hub);
    if (signal?.aborted) throw cancelled();
    const link = connection();
    const { model, info } = await link.call(
      "loadEmbedding",
      { source: description, options: plain(rest) },
      {
        signal,
        event: (progress) => {
          if (!signal?.aborted) notify(onProgress, progress);
        },
        late: ({ model }) => void free(link, model),
      },
    );
    return new EmbeddingModel(link, model, info);
  }

  /**
   * Makes a vector of each text; one text gives a list of one. Texts longer than `info.maxTokens` are cut. Calls wait
   * for the ones before them.
   */
  async embed(texts: string | string[], options: EmbedOptions = {}): Promise<Float32Array[]> {
    const { signal, onProgress, ...rest } = options;
    const list = listOf(typeof texts === "string" ? [texts] : texts, "texts");
    const args = { model: this.#model, texts: list, options: plain(rest) };
    const flat = await this.#ask("embed", args, list.length, { signal, onProgress });
    const dimensions = flat.length / Math.max(1, list.length);
    // Each by itself, so that one may be sent on without the others.
    return list.map((_, i) => flat.slice(i * dimensions, (i + 1) * dimensions));
  }

  /** Tells how well each document answers the query, in the order of the documents. */
  async rerank(query: string, documents: string[], options: TextsOptions = {}): Promise<Ranked[]> {
    const { signal, onProgress, ...rest } = options;
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) {
      throw new InkstoneError("Unsupported", `\`${unknown}\` is no option of rerank; known are signal, onProgress`);
    }
    const list = listOf(documents, "documents");
    const args = { model: this.#model, query: plain(String(query)), documents: list };
    const scores = await this.#ask("rerank", args, list.length, { signal, onProgress });
    return Array.from(scores, (score, index) => ({ index, score }));
  }

  /** Token ids of a text, as the model reads it. */
  async tokenize(text: string): Promise<number[]> {
    if (this.#life.signal.aborted) throw disposed();
    const args = { model: this.#model, text: plain(String(text)) };
    return Array.from(await this.#connection.call("tokenizeText", args));
  }

  /** Aborts what is under way or waiting and frees every byte on the GPU. Further calls are refused. */
  async dispose(): Promise<void> {
    if (!this.#life.signal.aborted) this.#life.abort();
    await this.#queue.idle();
    await free(this.#connection, this.#model);
  }

  /** One call over `count` texts, when its turn comes. */
  async #ask<M extends "embed" | "rerank">(
    method: M,
    args: Calls[M]["args"],
    count: number,
    { signal, onProgress }: TextsOptions,
  ): Promise<Float32Array> {
    if (this.#life.signal.aborted) throw disposed();
    if (signal?.aborted) throw cancelled();
    if (count === 0) return new Float32Array(0);
    const stop = AbortSignal.any([this.#life.signal, ...(signal ? [signal] : [])]);
    const hear = ({ done, total }: Share) => {
      if (!stop.aborted) notify<void>(() => onProgress?.(done, total), undefined);
    };
    return this.#queue.run(
      stop,
      async () => {
        const { answer, abort } = this.#connection.start<"embed" | "rerank">(method, args, hear);
        stop.addEventListener("abort", abort, { once: true });
        try {
          return await answer;
        } finally {
          stop.removeEventListener("abort", abort);
        }
      },
      () => Promise.reject(cancelled()),
    );
  }
}

/** A list of texts as the worker takes it; throws `Unsupported` for what is none. */
function listOf(texts: string[], what: string): string[] {
  if (!Array.isArray(texts))
    throw new InkstoneError("Unsupported", `the ${what} are no list: give an array of strings`);
  const wrong = Array.from(texts).findIndex((text) => typeof text !== "string");
  if (wrong >= 0) throw new InkstoneError("Unsupported", `${what}[${wrong}] is no string: give texts alone`);
  return plain(texts);
}

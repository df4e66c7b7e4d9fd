import { InkstoneError } from "../public/error.js";
import { listHub, type Listing } from "./hub.js";
import type { FileSet } from "./inkstone_wasm.js";
import type { Description } from "./protocol.js";
import { readBlob, RemoteFile, type RemoteContext } from "./remote.js";
import { Store } from "./store.js";

/** Browsers open six connections to a server; one that isn't read holds the others up. */
const MAX_STREAMS = 2;
/** So much of a file that nobody asked for is fetched before the model counts as loaded; more than that, after it. */
const MAX_WAIT = 16 * 1024 * 1024;
/** Where CLIP's own tokenizer is published. */
const CLIP = "https://huggingface.co/openai/clip-vit-large-patch14/resolve/main/";
const CLIP_FILES = ["vocab.json", "merges.txt"];
/** Where the tiny autoencoders are published, and what they are called in a model's folder. */
const TINY = "https://huggingface.co/madebyollin/";
const TINY_FOLDERS = ["taesd", "taesdxl"];
const TINY_FILES = ["config.json", "diffusion_pytorch_model.safetensors"];
const KNOWN = /\.(?:gguf|safetensors|json|jinja|txt|model)$/i;

/** A file at hand. */
class LocalFile {
  readonly local = true;
  readonly #name: string;
  readonly #blob: Blob;

  constructor(name: string, blob: Blob) {
    this.#name = name;
    this.#blob = blob;
  }

  async size(): Promise<number> {
    return this.#blob.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset + length > this.#blob.size) {
      const what = `it ends at byte ${this.#blob.size}, before byte ${offset + length}, and must be cut off`;
      throw new InkstoneError("Format", `${this.#name}: ${what}: get it again`);
    }
    try {
      return await readBlob(this.#blob, offset, length);
    } catch (cause) {
      throw new InkstoneError("Fetch", `${this.#name}: it can't be read any more (${cause}): choose it again`, {
        cause,
      });
    }
  }
}

/** The files of one model, wherever they are. */
export class Files implements FileSet {
  readonly #context: RemoteContext;
  #names: string[] = [];
  /** Where the files are that aren't in `#files` from the outset. */
  #listing: Listing | undefined;
  readonly #files = new Map<string, LocalFile | RemoteFile>();
  #streams: RemoteFile[] = [];
  #closed = false;
  /** What made reading fail first, if anything did. */
  failure: unknown;

  private constructor(store: Store | undefined, signal: AbortSignal) {
    this.#context = { store, signal, opening: (file) => this.#makeWay(file) };
  }

  /**
   * Finds out what files there are. `cache`: read what is kept and keep what comes, only read what is kept, or neither.
   */
  static async open(source: Description, cache: "keep" | "read" | "off", signal: AbortSignal): Promise<Files> {
    const remote = source.key !== "" && !/^(?:blob|data):/.test(source.key);
    const store = remote && cache !== "off" ? await Store.open(source.key, cache === "keep") : undefined;
    const files = new Files(store, signal);
    try {
      await files.#list(source);
      return files;
    } catch (error) {
      await files.close(false);
      throw error;
    }
  }

  async #list(source: Description): Promise<void> {
    const { store, signal } = this.#context;
    if (source.kind === "files") {
      for (const { name, content } of source.files) {
        const file =
          typeof content === "string" ? this.#remote(name, content, true) : new LocalFile(name || "the file", content);
        const known = KNOWN.test(name) ? name : await recognise(name, file).catch(leaveOut(source.files.length));
        if (known !== undefined) this.#files.set(known, file);
      }
      this.#names = [...this.#files.keys()];
      return;
    }
    const listing = store?.listing ?? (source.kind === "hub" ? await listHub(source, signal) : listUrl(source.url));
    this.#names = listing.names;
    this.#listing = listing;
    if (store) store.listing = listing;
    const [only] = this.#names;
    if (only !== undefined && this.#names.length === 1 && !KNOWN.test(only)) {
      const file = this.#remote(only, address(listing, only), true);
      this.#names = [await recognise(only, file)];
      this.#files.set(this.#names[0] as string, file);
    }
  }

  /**
   * A checkpoint in a single file brings no tokenizer. Those for Stable Diffusion all have CLIP's, which is fetched from
   * the hub unless it lies beside the file.
   */
  withTokenizer(): this {
    const [only] = this.#names;
    if (this.#names.length === 1 && only?.endsWith(".safetensors")) {
      for (const name of CLIP_FILES) {
        if (!this.#files.has(name)) this.#files.set(name, this.#remote(name, CLIP + name, false));
      }
    }
    return this;
  }

  /** A tiny autoencoder for whatever model this is, from the hub unless it lies beside the model. */
  withTiny(): this {
    for (const folder of this.#names.length === 0 ? [] : TINY_FOLDERS) {
      for (const file of TINY_FILES) {
        const name = `${folder}/${file}`;
        if (this.#names.includes(name)) continue;
        this.#files.set(name, this.#remote(name, `${TINY}${folder}/resolve/main/${file}`, false));
      }
    }
    return this;
  }

  names(): string[] {
    return [...this.#names];
  }

  size(name: string): Promise<number | undefined> {
    return this.#noting(async () => this.#file(name)?.size());
  }

  read(name: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#noting(async () => {
      const file = this.#file(name);
      if (!file) throw new InkstoneError("Fetch", `${name}: the model has no such file: add it to the others`);
      return file.read(offset, length);
    });
  }

  release(): void {
    // Whoever opened them closes them.
  }

  /** Runs `job`, the error of which goes through Rust, where it is told in other words; the best ones are its own. */
  async #noting<T>(job: () => Promise<T>): Promise<T> {
    try {
      return await job();
    } catch (error) {
      this.failure ??= error;
      throw error;
    }
  }

  /** Whether a file that has been opened comes from this machine. */
  isLocal(name: string): boolean {
    return this.#files.get(name)?.local ?? false;
  }

  /** Bytes of the opened files that needn't come over the network. */
  async localBytes(): Promise<number> {
    let bytes = 0;
    for (const file of this.#files.values()) if (file.local) bytes += (await file.size()) ?? 0;
    return bytes;
  }

  /** To be called after a load: sees to it that what is kept is whole. */
  async close(complete: boolean): Promise<void> {
    const begun = [...this.#files.values()].filter((file) => file instanceof RemoteFile);
    if (!complete) return this.#end(begun, false);
    const lacking = begun.reduce((sum, file) => sum + file.lacking, 0);
    const rest = this.#complete(begun);
    if (lacking <= MAX_WAIT) await rest;
  }

  async #complete(begun: RemoteFile[]): Promise<void> {
    let complete = true;
    for (const file of begun) {
      try {
        await file.complete();
      } catch (error) {
        complete = false;
        console.warn(`inkstone: ${file.name} is not kept whole for the next visit: ${error}`);
      }
    }
    await this.#end(begun, complete);
  }

  async #end(begun: RemoteFile[], complete: boolean): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const file of begun) file.close();
    await this.#context.store?.close(complete);
  }

  #file(name: string): LocalFile | RemoteFile | undefined {
    const listing = this.#listing;
    const known = this.#names.includes(name);
    let file = this.#files.get(name);
    if (!file && listing && (known || !listing.closed)) {
      // In a folder that can't be listed this one has to be.
      const required = known || (this.#names.length === 0 && name === "config.json");
      file = this.#remote(name, address(listing, name), required);
      this.#files.set(name, file);
    }
    return file;
  }

  #remote(name: string, url: string, required: boolean): RemoteFile {
    return new RemoteFile(name, url, required, this.#context);
  }

  #makeWay(file: RemoteFile): void {
    this.#streams = this.#streams.filter((other) => other !== file);
    while (this.#streams.length >= MAX_STREAMS) this.#streams.shift()?.pause();
    this.#streams.push(file);
  }
}

/** A file's address: the folder's, with its query (a signature, say), and the name before it. */
function address({ base, names }: Listing, name: string): string {
  if (names[0] === "") return base;
  const [folder = "", query] = base.split("?");
  const path = name.split("/").map(encodeURIComponent).join("/");
  return folder + path + (query === undefined ? "" : `?${query}`);
}

/** A file lies in a folder as well: a .safetensors needs the config.json beside it. */
function listUrl(url: string): Listing {
  const { origin, protocol, pathname, search } = new URL(url);
  if (pathname.endsWith("/")) return { base: url, names: [], closed: false };
  if (protocol === "blob:" || protocol === "data:") return { base: url, names: [""], closed: true };
  const cut = pathname.lastIndexOf("/") + 1;
  return {
    base: origin + pathname.slice(0, cut) + search,
    names: [decodeURIComponent(pathname.slice(cut))],
    closed: false,
  };
}

/** What else lies in a folder is no part of the model; a file by itself has to be one. */
function leaveOut(files: number): (error: unknown) => undefined {
  return (error) => {
    if (files === 1 || !(error instanceof InkstoneError) || error.code !== "Format") throw error;
    return undefined;
  };
}

/** The name that a file without a telling one should have, by how it begins. */
async function recognise(name: string, file: LocalFile | RemoteFile): Promise<string> {
  const size = (await file.size()) ?? 0;
  const head = new TextDecoder("latin1").decode(await file.read(0, Math.min(size, 9)));
  if (head.startsWith("GGUF")) return `${name || "model"}.gguf`;
  if (head[8] === "{") return `${name || "model"}.safetensors`;
  throw new InkstoneError(
    "Format",
    `${name || "the file"}: this is neither a GGUF nor a safetensors file: choose another`,
  );
}

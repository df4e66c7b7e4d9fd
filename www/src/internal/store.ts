import type { CacheEntry } from "../public/types.js";
import { InkstoneError } from "../public/error.js";
import type { Listing } from "./hub.js";
import { PartialFile, type Entry, type SyncAccessHandle } from "./part.js";
import type { Version } from "./stream.js";

const ROOT = "inkstone";
const MANIFEST = "manifest.json";
const VERSION = 1;
/** A load that was aborted lets go within so long. */
const CLOSING_MS = 1000;

interface Manifest {
  version: number;
  source: string;
  date: number;
  /** What the hub or the address said the files are, so that the next visit needn't ask. */
  listing: Listing | undefined;
  /** Names that were asked for and don't exist. */
  missing: string[];
  files: Record<string, Entry>;
  /** True once a load has read everything it wanted. */
  complete: boolean;
}

type FileHandle = FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncAccessHandle> };
type Folder = FileSystemDirectoryHandle & { keys(): AsyncIterableIterator<string> };

/**
 * One source's folder in the origin's private file system. Whole files can be read by every tab; one load at a time
 * may write, which a lock sees to that the browser frees when a tab dies.
 */
export class Store {
  readonly #root: Folder;
  readonly #folder: Folder;
  readonly #manifest: Manifest;
  #release: (() => void) | undefined;
  readonly #parts = new Set<PartialFile>();
  /** The files of this visit. */
  readonly #touched = new Set<string>();

  private constructor(root: Folder, folder: Folder, manifest: Manifest, release: (() => void) | undefined) {
    this.#root = root;
    this.#folder = folder;
    this.#manifest = manifest;
    this.#release = release;
  }

  /**
   * Opens what is kept for `key`. With `write` it is made if need be; undefined when there is nothing, or when the
   * browser gives no storage.
   */
  static async open(key: string, write: boolean): Promise<Store | undefined> {
    let release: (() => void) | undefined;
    try {
      const root = await openRoot(write);
      if (!root) return undefined;
      const name = await folderName(key);
      if (write) release = await lock(name);
      const folder = (await find(root.getDirectoryHandle(name, { create: release !== undefined }))) as
        Folder | undefined;
      const manifest = folder && ((await readManifest(folder)) ?? (release && emptyManifest(key)));
      if (folder && manifest) return new Store(root, folder, manifest, release);
    } catch (error) {
      console.warn(`inkstone: the model won't be kept for the next visit: ${error}`);
    }
    release?.();
    return undefined;
  }

  get writable(): boolean {
    return this.#release !== undefined;
  }

  /** Where the files are, as an earlier visit found out. What a visit that was cut off found out is asked again. */
  get listing(): Listing | undefined {
    return this.#manifest.complete ? this.#manifest.listing : undefined;
  }

  set listing(listing: Listing) {
    this.#manifest.listing = listing;
  }

  isMissing(name: string): boolean {
    return this.#manifest.complete && this.#manifest.missing.includes(name);
  }

  noteMissing(name: string): void {
    if (this.writable && !this.#manifest.missing.includes(name)) this.#manifest.missing.push(name);
  }

  /** The size of a file that an earlier visit asked for and then didn't read. */
  knownSize(name: string): number | undefined {
    return this.#manifest.complete ? this.#manifest.files[name]?.bytes : undefined;
  }

  /** A file that is kept whole. */
  async whole(name: string): Promise<Blob | undefined> {
    const entry = this.#manifest.files[name];
    this.#touched.add(name);
    if (!entry) return undefined;
    const handle = await find(this.#folder.getFileHandle(entry.file));
    const blob = await handle?.getFile();
    // Files grow from their start without holes, so that size says enough, even where a crash came before the note.
    if (blob?.size === entry.bytes) return blob;
    if (entry.done) delete this.#manifest.files[name];
    return undefined;
  }

  /** A file that is kept in part, to be gone on with; undefined when there is nothing of it. */
  async resume(name: string): Promise<PartialFile | undefined> {
    const entry = this.#manifest.files[name];
    if (!this.writable || !entry || entry.done || !(entry.etag || entry.modified)) return undefined;
    const part = await this.#openPart(entry, false);
    if (part && part.length > 0 && part.length <= entry.bytes) return part;
    part?.close();
    return undefined;
  }

  /** A new file of so many bytes; undefined when it can't be kept. */
  async create(name: string, bytes: number, version: Version): Promise<PartialFile | undefined> {
    if (!this.writable || !(await hasRoom(bytes))) return undefined;
    const file = this.#manifest.files[name]?.file ?? this.#newFileName();
    const entry: Entry = { file, bytes, done: false, ...version };
    this.#manifest.files[name] = entry;
    const part = await this.#openPart(entry, true);
    await this.save();
    return part;
  }

  async #openPart(entry: Entry, fresh: boolean): Promise<PartialFile | undefined> {
    try {
      const handle = (await this.#folder.getFileHandle(entry.file, { create: fresh })) as FileHandle;
      const access = await handle.createSyncAccessHandle();
      if (fresh) access.truncate(0);
      const part = new PartialFile(access, entry, () => this.#parts.delete(part));
      this.#parts.add(part);
      return part;
    } catch (error) {
      if (!isNotFound(error)) console.warn(`inkstone: a file won't be kept for the next visit: ${error}`);
      return undefined;
    }
  }

  async save(): Promise<void> {
    if (!this.writable) return;
    this.#manifest.date = Date.now();
    try {
      await writeFile(this.#folder, MANIFEST, new TextEncoder().encode(JSON.stringify(this.#manifest)));
    } catch (error) {
      console.warn(`inkstone: the list of kept files can't be written: ${error}`);
    }
  }

  /** Ends the visit. With `complete`, the next one needs no network. */
  async close(complete: boolean): Promise<void> {
    if (!this.writable) return;
    for (const part of this.#parts) part.close();
    if (complete) await this.#settle();
    let kept = 0;
    for (const { file } of Object.values(this.#manifest.files)) kept += await fileSize(this.#folder, file);
    if (kept > 0 || this.#manifest.complete) await this.save();
    else await this.#root.removeEntry(this.#folder.name, { recursive: true });
    this.#release?.();
    this.#release = undefined;
  }

  /** After a visit that read all it wanted: parts that it didn't go on with, and files that nobody knows, go. */
  async #settle(): Promise<void> {
    this.#manifest.complete = true;
    const known = new Set([MANIFEST]);
    for (const [name, { file, done }] of Object.entries(this.#manifest.files)) {
      if (done || this.#touched.has(name)) known.add(file);
      else delete this.#manifest.files[name];
    }
    const there: string[] = [];
    for await (const file of this.#folder.keys()) there.push(file);
    for (const file of there) if (!known.has(file)) await find(this.#folder.removeEntry(file));
  }

  #newFileName(): string {
    const taken = new Set(Object.values(this.#manifest.files).map((entry) => entry.file));
    let n = 0;
    while (taken.has(`${n}.bin`)) n++;
    return `${n}.bin`;
  }
}

/** What is kept, the latest first. */
export async function listStore(): Promise<CacheEntry[]> {
  const entries: CacheEntry[] = [];
  const root = await openRoot(false);
  for (const folder of root ? await folders(root) : []) {
    const manifest = await readManifest(folder);
    if (!manifest) continue;
    const files: CacheEntry["files"] = [];
    for (const [name, { file }] of Object.entries(manifest.files)) {
      const bytes = await fileSize(folder, file);
      if (bytes > 0) files.push({ name, bytes });
    }
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    if (bytes === 0) continue;
    entries.push({ source: manifest.source, files, bytes, date: new Date(manifest.date), complete: manifest.complete });
  }
  return entries.sort((a, b) => b.date.getTime() - a.date.getTime());
}

/** Forgets one source; false when it isn't kept. */
export async function deleteFromStore(key: string): Promise<boolean> {
  const root = await openRoot(false);
  if (!root) return false;
  const name = await folderName(key);
  if (!(await find(root.getDirectoryHandle(name)))) return false;
  await remove(root, name, key);
  return true;
}

export async function clearStore(): Promise<void> {
  const root = await openRoot(false);
  for (const folder of root ? await folders(root) : []) {
    const source = (await readManifest(folder))?.source ?? "a model";
    await remove(root as Folder, folder.name, source);
  }
}

async function remove(root: Folder, name: string, source: string): Promise<void> {
  const release = await lock(name, CLOSING_MS);
  if (!release) {
    const advice = "stop that first, or wait for its end";
    throw new InkstoneError("Unsupported", `\`${source}\` is being downloaded at the moment: ${advice}`);
  }
  try {
    await root.removeEntry(name, { recursive: true });
  } finally {
    release();
  }
}

async function openRoot(create: boolean): Promise<Folder | undefined> {
  if (typeof navigator.storage?.getDirectory !== "function" || !navigator.locks) return undefined;
  try {
    const top = await navigator.storage.getDirectory();
    return (await find(top.getDirectoryHandle(ROOT, { create }))) as Folder | undefined;
  } catch (error) {
    // Private windows of some browsers refuse.
    console.warn(`inkstone: this browser gives no storage here: ${error}`);
    return undefined;
  }
}

async function folders(root: Folder): Promise<Folder[]> {
  const found: Folder[] = [];
  for await (const name of root.keys()) {
    const folder = await find(root.getDirectoryHandle(name));
    if (folder) found.push(folder as Folder);
  }
  return found;
}

async function folderName(key: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key)));
  return Array.from(digest.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Takes the right to write a folder; undefined when another load has it, and still has after so long. */
function lock(name: string, patience = 0): Promise<(() => void) | undefined> {
  const options = patience === 0 ? { ifAvailable: true } : { signal: AbortSignal.timeout(patience) };
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(`inkstone/${name}`, options, (granted) => {
        if (!granted) return resolve(undefined);
        return new Promise<void>((release) => resolve(release));
      })
      .catch((error) => (options.signal?.aborted ? resolve(undefined) : reject(error)));
  });
}

async function hasRoom(bytes: number): Promise<boolean> {
  const { quota, usage } = await navigator.storage.estimate();
  return quota === undefined || usage === undefined || quota - usage > bytes;
}

function emptyManifest(source: string): Manifest {
  return { version: VERSION, source, date: Date.now(), listing: undefined, missing: [], files: {}, complete: false };
}

/** Undefined when there is none, or one that an interrupted write or another version left. */
async function readManifest(folder: Folder): Promise<Manifest | undefined> {
  const manifest = await readJson<Manifest>(folder, MANIFEST);
  return manifest?.version === VERSION ? manifest : undefined;
}

/** Undefined when there is no such file, or one that an interrupted write left. */
async function readJson<T>(folder: Folder, name: string): Promise<T | undefined> {
  const handle = await find(folder.getFileHandle(name));
  if (!handle) return undefined;
  try {
    return JSON.parse(await (await handle.getFile()).text()) as T;
  } catch (error) {
    console.warn(`inkstone: ${name} is unreadable and ignored: ${error}`);
    return undefined;
  }
}

/** What `writeNote` kept beside the models. */
export async function readNote<T>(name: string): Promise<T | undefined> {
  const root = await openRoot(false);
  return root && readJson<T>(root, name);
}

/** Keeps a little for the next visit, if the browser lets us. */
export async function writeNote(name: string, note: unknown): Promise<void> {
  try {
    const root = await openRoot(true);
    if (root) await writeFile(root, name, new TextEncoder().encode(JSON.stringify(note)));
  } catch (error) {
    console.warn(`inkstone: ${name} won't be kept for the next visit: ${error}`);
  }
}

async function writeFile(folder: Folder, name: string, bytes: Uint8Array): Promise<void> {
  const handle = (await folder.getFileHandle(name, { create: true })) as FileHandle;
  const access = await handle.createSyncAccessHandle();
  try {
    access.truncate(0);
    access.write(bytes, { at: 0 });
    access.flush();
  } finally {
    access.close();
  }
}

async function fileSize(folder: Folder, name: string): Promise<number> {
  const handle = await find(folder.getFileHandle(name));
  return (await handle?.getFile())?.size ?? 0;
}

/** Undefined instead of the error that says that there is no such entry. */
async function find<T>(entry: Promise<T>): Promise<T | undefined> {
  try {
    return await entry;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof DOMException && (error.name === "NotFoundError" || error.name === "TypeMismatchError");
}

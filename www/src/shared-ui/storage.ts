/** What the pages keep in this browser: settings in localStorage, records in IndexedDB. Nothing is sent. */

const PREFIX = "inkstone.";

/** Reads a setting; anything unreadable counts as absent, because a private window may refuse storage altogether. */
export function readSetting<T>(name: string, fallback: T): T {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? fallback : (JSON.parse(text) as T);
  } catch {
    return fallback;
  }
}

/** Keeps a setting, or forgets it when `value` is undefined. Returns false where the browser refuses. */
export function writeSetting(name: string, value: unknown): boolean {
  try {
    if (value === undefined) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

const TABLES = ["conversations", "pictures", "notes"] as const;
export type Table = (typeof TABLES)[number];
/** Goes up with every table that is added: the browser then asks for it to be made. */
const VERSION = 3;

function promised<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser's storage did not answer"));
  });
}

/** Records with an `id`, kept in one IndexedDB table; only in memory where the browser refuses (`lasting` is false). */
export class RecordStore<T extends { id: string }> {
  private readonly memory = new Map<string, T>();

  private constructor(
    private readonly database: IDBDatabase | undefined,
    private readonly table: string,
  ) {}

  static async open<T extends { id: string }>(table: Table): Promise<RecordStore<T>> {
    try {
      const request = indexedDB.open("inkstone-pages", VERSION);
      request.onupgradeneeded = () => {
        for (const name of TABLES) {
          if (request.result.objectStoreNames.contains(name)) continue;
          request.result.createObjectStore(name, { keyPath: "id" });
        }
      };
      const database = await promised(request);
      // A newer version of the page in another tab must be able to upgrade the table.
      database.onversionchange = () => database.close();
      return new RecordStore<T>(database, table);
    } catch {
      return new RecordStore<T>(undefined, table);
    }
  }

  get lasting(): boolean {
    return this.database !== undefined;
  }

  async all(): Promise<T[]> {
    if (!this.database) return [...this.memory.values()];
    return promised<T[]>(this.database.transaction(this.table).objectStore(this.table).getAll());
  }

  async get(id: string): Promise<T | undefined> {
    if (!this.database) return this.memory.get(id);
    return promised<T | undefined>(this.database.transaction(this.table).objectStore(this.table).get(id));
  }

  async put(record: T): Promise<void> {
    if (!this.database) {
      this.memory.set(record.id, structuredClone(record));
      return;
    }
    await promised(this.database.transaction(this.table, "readwrite").objectStore(this.table).put(record));
  }

  /** All of them or none. */
  async delete(...ids: string[]): Promise<void> {
    for (const id of ids) this.memory.delete(id);
    if (!this.database || ids.length === 0) return;
    const transaction = this.database.transaction(this.table, "readwrite");
    await Promise.all(ids.map((id) => promised(transaction.objectStore(this.table).delete(id))));
  }
}

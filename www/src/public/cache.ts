import { connection } from "../internal/client.js";
import { describeSource } from "../internal/source.js";
import type { CacheEntry, Source } from "./types.js";

/** The models that are kept in this origin's private storage, so that they open without the network. */
export const cache = {
  /** What is kept, the latest first. */
  list(): Promise<CacheEntry[]> {
    return connection().call("cacheList", {});
  },

  /** Forgets one model. Resolves to false when it wasn't there. */
  async delete(source: Source): Promise<boolean> {
    return connection().call("cacheDelete", { key: describeSource(source).key });
  },

  /** Forgets everything. */
  clear(): Promise<void> {
    return connection().call("cacheClear", {});
  },

  /** How many bytes are kept. */
  bytes(): Promise<number> {
    return connection().call("cacheBytes", {});
  },

  /** Asks the browser not to evict what is kept when the disk runs full; some browsers ask the person. */
  async persist(): Promise<boolean> {
    return (await navigator.storage?.persist?.()) ?? false;
  },
};

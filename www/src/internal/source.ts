import { InkstoneError } from "../public/error.js";
import type { Source } from "../public/types.js";
import type { Description } from "./protocol.js";

const HUB = "https://huggingface.co";
const HUB_PAGE = /^(?:https?:\/\/)?(?:www\.)?(?:huggingface\.co|hf\.co)\//i;
// owner/repo, then a file or a folder of it, then @revision, then :quantization, each of them optional.
const HUB_NAME = /^([\w.-]+\/[\w.-]+)((?:\/[^/@:]+)*)(?:@([^@:]+))?(?::([\w-]+))?$/;
const WEIGHTS = /\.(?:gguf|safetensors)$/i;
const LOOKS_LIKE_TEXT = /^\s*[{[]|[\r\n]/;

/** Reads a {@link Source} without touching the network. Throws `Unsupported` for what can't be one. */
export function describeSource(source: Source, hub: string = HUB): Description {
  hub = hub.replace(/\/+$/, "");
  if (typeof source === "string") return describeString(source.trim(), hub);
  if (source instanceof URL) return describeString(source.href, hub);
  if (source instanceof Blob) {
    return describeFiles([{ name: source instanceof File ? source.name : "", content: source }]);
  }
  if (Array.isArray(source)) {
    const paths = source.map((file) => file.webkitRelativePath || file.name);
    const top = commonFolder(paths);
    return describeFiles(source.map((content, i) => ({ name: (paths[i] ?? "").slice(top.length), content })));
  }
  if (source !== null && typeof source === "object") {
    return describeFiles(
      Object.entries(source).map(([name, content]) => ({ name, content: describeContent(name, content) })),
    );
  }
  const what = "a model source is a name, a URL, a Blob, an array of Files or a record of files";
  throw new InkstoneError("Unsupported", what);
}

function describeString(text: string, hub: string): Description {
  if (text === "") {
    throw new InkstoneError("Unsupported", "the model source is empty: give a repository, a URL or a file");
  }
  const onHub = HUB_PAGE.test(text) || text.startsWith(`${hub}/`);
  if (onHub) {
    const path = text.startsWith(`${hub}/`) ? text.slice(hub.length + 1) : text.replace(HUB_PAGE, "");
    return describeHubPage(path, hub) ?? describeUrl(text);
  }
  if (/^[a-z][a-z\d+.-]*:/i.test(text) || /^(?:\/|\.\.?\/)/.test(text) || text.endsWith("/")) return describeUrl(text);
  const path = text.split(/[?#]/, 1)[0] ?? "";
  if (WEIGHTS.test(path) && path.split("/").length < 3) return describeUrl(text);
  const name = HUB_NAME.exec(text);
  if (name) return describeHubName(name, hub);
  if (WEIGHTS.test(path)) return describeUrl(text);
  throw new InkstoneError(
    "Unsupported",
    `\`${text}\` is no model source: write \`owner/repo\`, or a URL that ends in .gguf, .safetensors or /`,
  );
}

function describeHubName([, repo = "", path = "", at, quantization]: RegExpExecArray, hub: string): Description {
  let revision = at;
  let file = path.slice(1) || undefined;
  // owner/repo@revision/file.gguf says the same as owner/repo/file.gguf@revision.
  if (revision !== undefined && file === undefined && WEIGHTS.test(revision)) {
    const slash = revision.indexOf("/");
    if (slash > 0) [revision, file] = [revision.slice(0, slash), revision.slice(slash + 1)];
  }
  if (file !== undefined && !WEIGHTS.test(file)) {
    const what = `\`${file}\` of \`${repo}\` is neither a .gguf nor a .safetensors file: name one`;
    throw new InkstoneError("Unsupported", what);
  }
  return describeHub(hub, repo, revision, file, quantization);
}

/** What a person copies from the address bar; undefined for an address that isn't a repository's. */
function describeHubPage(path: string, hub: string): Description | undefined {
  const [owner, name, verb, revision, ...rest] = (path.split(/[?#]/, 1)[0] ?? "").split("/").map(decodeURIComponent);
  if (!owner || !name || owner === "api" || owner === "datasets" || owner === "spaces") return undefined;
  const repo = `${owner}/${name}`;
  if (!verb) return describeHub(hub, repo);
  const file = rest.join("/");
  if (verb === "tree" && revision && !file) return describeHub(hub, repo, revision);
  if (!["blob", "resolve", "raw"].includes(verb) || !revision || !WEIGHTS.test(file)) return undefined;
  return describeHub(hub, repo, revision, file);
}

function describeHub(hub: string, repo: string, revision?: string, file?: string, quantization?: string): Description {
  if (revision === "main") revision = undefined;
  const key =
    repo + (file ? `/${file}` : "") + (revision ? `@${revision}` : "") + (quantization ? `:${quantization}` : "");
  return {
    kind: "hub",
    hub,
    repo,
    key,
    ...(revision !== undefined && { revision }),
    ...(file !== undefined && { file }),
    ...(quantization !== undefined && { quantization }),
  };
}

function describeUrl(text: string): Description {
  const url = resolveUrl(text);
  return { kind: "url", url, key: url };
}

function resolveUrl(text: string): string {
  try {
    const url = new URL(text, document.baseURI);
    url.hash = "";
    return url.href;
  } catch (cause) {
    throw new InkstoneError("Unsupported", `\`${text}\` is not a URL: check how it is written`, { cause });
  }
}

function describeFiles(files: { name: string; content: Blob | string }[]): Description {
  if (files.length === 0) throw new InkstoneError("Unsupported", "the model source has no files: give at least one");
  const urls = files.filter((file) => typeof file.content === "string").map((file) => `${file.name}=${file.content}`);
  return { kind: "files", files, key: urls.sort().join(" ") };
}

function describeContent(name: string, content: unknown): Blob | string {
  if (content instanceof Blob) return content;
  if (content instanceof URL) return resolveUrl(content.href);
  if (typeof content === "string") {
    return LOOKS_LIKE_TEXT.test(content) ? new Blob([content]) : resolveUrl(content);
  }
  throw new InkstoneError("Unsupported", `the content of \`${name}\` must be a Blob, a URL or text`);
}

/** The folder, with its slash, in which all paths lie; empty when there is none. */
function commonFolder(paths: string[]): string {
  const first = paths[0] ?? "";
  const top = first.slice(0, first.indexOf("/") + 1);
  return top !== "" && paths.every((path) => path.startsWith(top)) ? top : "";
}

// The static server behind `npm start` and the browser tests. Needs no special headers: the engine asks for no
// cross-origin isolation. Importable: `const { url, close } = await serve({ port: 0 })`.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { Trouble, cacheFolder, isMain, main, root } from "./shell.mjs";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".gguf": "application/octet-stream",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".md": "text/markdown; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".ts": "text/plain; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".webp": "image/webp",
  ".woff2": "font/woff2",
};

/** URL prefix -> folder; the longest prefix that fits decides. */
const ROUTES = {
  "/": join(root, "www"),
  "/dist/": join(root, "dist"),
  "/pages/": join(root, "out", "pages"),
  "/models/smollm2/": join(cacheFolder, "assets", "smollm2"),
};

// The pages' own sources lie beside them and are not for the browser.
const HIDDEN = /(^|\/)\.|^\/src\//;

/**
 * Serves the pages on this machine only.
 * `port`: 0 picks a free one. `routes`: more prefixes, each a folder or a `(request, response, pathname) => void`.
 * Resolves to `{ url, server, close }`.
 */
export async function serve({ port = 0, routes = {} } = {}) {
  const table = Object.entries({ ...ROUTES, ...routes }).sort(([a], [b]) => b.length - a.length);
  const server = createServer((request, response) => {
    answer(table, request, response).catch((error) => {
      // A browser that goes away in the middle of a download is its own business.
      if (error.code !== "ERR_STREAM_PREMATURE_CLOSE" && error.code !== "ECONNRESET") console.error(error);
      if (!response.headersSent) refuse(response, 500, "The file could not be read.");
      else response.destroy();
    });
  });
  await new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const taken = error.code === "EADDRINUSE" && `Port ${port} is taken: choose another one with PORT=8081 npm start.`;
      reject(new Trouble(taken || `Could not listen on port ${port}: ${error.message}.`));
    });
    server.listen(port, "127.0.0.1", resolve);
  });
  const close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return { url: `http://localhost:${server.address().port}`, server, close };
}

async function answer(table, request, response) {
  let pathname;
  try {
    pathname = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  } catch {
    return refuse(response, 400, "The address is malformed.");
  }
  const [prefix, target] = table.find(([prefix]) => pathname.startsWith(prefix));
  if (typeof target === "function") return target(request, response, pathname);
  if (request.method !== "GET" && request.method !== "HEAD") return refuse(response, 405, "Only GET and HEAD are served.");
  if (HIDDEN.test(pathname) || pathname.includes("\0")) return refuse(response, 404, "There is no such file.");

  let file = join(target, pathname.slice(prefix.length) || "index.html");
  if (!(file + sep).startsWith(target + sep)) return refuse(response, 404, "There is no such file.");
  let found = await stat(file).catch(() => undefined);
  if (found?.isDirectory() && pathname.endsWith("/")) {
    file = join(file, "index.html");
    found = await stat(file).catch(() => undefined);
  }
  // Browsers ask for it unasked; that a page has none is no error.
  if (!found && pathname === "/favicon.ico") return response.writeHead(204).end();
  if (!found?.isFile()) return refuse(response, 404, "There is no such file.");
  await send(file, found, request, response);
}

/** Sends a file: the whole, or the one range that was asked for. */
async function send(file, { size, mtimeMs }, request, response) {
  const etag = `"${size.toString(36)}-${Math.round(mtimeMs).toString(36)}"`;
  const headers = {
    "Accept-Ranges": "bytes",
    // Always asked again, answered with 304 while nothing has changed: right for pages that are being worked on.
    "Cache-Control": "no-cache",
    "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
    ETag: etag,
    "X-Content-Type-Options": "nosniff",
  };
  if (request.headers["if-none-match"] === etag) return response.writeHead(304, headers).end();

  const condition = request.headers["if-range"];
  const range = condition === undefined || condition === etag ? parseRange(request.headers.range, size) : undefined;
  if (range === "unsatisfiable") {
    return refuse(response, 416, "The range is outside the file.", { "Content-Range": `bytes */${size}` });
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  headers["Content-Length"] = end - start + 1;
  if (range) headers["Content-Range"] = `bytes ${start}-${end}/${size}`;
  response.writeHead(range ? 206 : 200, headers);
  if (request.method === "HEAD" || size === 0) return response.end();
  await pipeline(createReadStream(file, { start, end, highWaterMark: 1 << 18 }), response);
}

/**
 * The one byte range a Range header asks for (both ends inclusive), "unsatisfiable", or undefined where the header is
 * absent, malformed or asks for several: then the whole file is the answer (RFC 9110, section 14.2).
 */
export function parseRange(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return undefined;
  if (match[1] === "") {
    const length = Math.min(Number(match[2]), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size - 1 };
  }
  const start = Number(match[1]);
  const end = match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (match[2] !== "" && Number(match[2]) < start) return undefined;
  return start >= size ? "unsatisfiable" : { start, end };
}

function refuse(response, status, message, headers = {}) {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8", ...headers }).end(`${message}\n`);
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const { url } = await serve({ port: Number(process.env.PORT || 8080) });
    console.log(`Serving on ${url}`);
  });
}

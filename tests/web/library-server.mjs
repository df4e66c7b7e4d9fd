// A server for the tests of the shell that can misbehave in every way that downloads meet in the world.

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { gzipSync } from "node:zlib";

/**
 * Serves `files`: path -> { body, ...behaviour }:
 * `type`; `etag`, `modified`; `ranges` (answers Range, default true); `drop: [a, b]` (the first answer breaks off after
 * a bytes, the second after b; Infinity lets one pass); `dropAlways: n`; `gzip`, `chunked` (no Content-Length);
 * `stall: n` (the first answer stops after n bytes and stays open); `status: [503, 200]` (one by one, the last stays);
 * `pace: [bytes, ms]`; `redirect: path`; `cors` (true, or the exposed headers). `sent` then counts the bytes.
 * `log` holds every request as { method, path, range }.
 */
export async function misbehave(files = {}) {
  const log = [];
  const server = createServer(misbehaviour(files, log));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://localhost:${server.address().port}`,
    files,
    log,
    /** The requests since the last call, without favicons. */
    requests: () => log.splice(0).filter(({ path }) => path !== "/favicon.ico"),
    close: () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections())),
  };
}

/** The same as a listener for a server that has other routes too. */
export function misbehaviour(files, log) {
  return (request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    log.push({ method: request.method, path, range: request.headers.range });
    const file = files[path];
    if (!file) {
      response.writeHead(404, { "content-type": "text/html", "access-control-allow-origin": "*" });
      return response.end("<!doctype html><title>nothing here</title>");
    }
    answer(file, request, response).catch((error) => response.destroy(error));
  };
}

async function answer(file, request, response) {
  const headers = { "content-type": file.type ?? "application/octet-stream" };
  if (file.cors) headers["access-control-allow-origin"] = "*";
  if (typeof file.cors === "string") headers["access-control-expose-headers"] = file.cors;
  if (file.etag) headers.etag = file.etag;
  if (file.modified) headers["last-modified"] = file.modified;
  if (file.redirect) {
    response.writeHead(302, { ...headers, location: file.redirect });
    return response.end();
  }
  const status = file.status && (file.status.length > 1 ? file.status.shift() : file.status[0]);
  if (status && status !== 200) {
    response.writeHead(status, headers);
    return response.end(`status ${status}`);
  }
  let body = Buffer.from(file.body);
  const range = file.ranges === false ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const accepted = (request.headers["accept-encoding"] ?? "").includes("gzip");
  let code = 200;
  if (range) {
    const [from, to] = [Number(range[1]), range[2] ? Number(range[2]) : body.length - 1];
    if (from >= body.length) {
      response.writeHead(416, { ...headers, "content-range": `bytes */${body.length}` });
      return response.end();
    }
    code = 206;
    headers["content-range"] = `bytes ${from}-${to}/${body.length}`;
    body = body.subarray(from, to + 1);
  } else if (file.gzip && accepted) {
    headers["content-encoding"] = "gzip";
    body = gzipSync(body);
  }
  if (!file.chunked || range) headers["content-length"] = body.length;
  if (file.ranges !== false) headers["accept-ranges"] = "bytes";
  const stall = file.stall;
  delete file.stall;
  const limit = stall ?? (file.drop?.length ? file.drop.shift() : (file.dropAlways ?? Infinity));
  response.writeHead(code, headers);
  const [step, wait] = file.pace ?? [1 << 20, 0];
  for (let at = 0; at < Math.min(body.length, limit); at += step) {
    if (response.destroyed) return;
    const piece = body.subarray(at, Math.min(at + step, limit));
    file.sent = (file.sent ?? 0) + piece.length;
    if (!response.write(piece)) await drained(response);
    if (wait) await new Promise((resolve) => setTimeout(resolve, wait));
  }
  if (stall !== undefined) return;
  if (limit < body.length) {
    // What was written must be read before the connection is cut: a browser throws away what a broken one has left.
    await new Promise((resolve) => setTimeout(resolve, limit && 300));
    return response.destroy();
  }
  response.end();
}

/** Resolves when there is room to write again, or nobody reads any more. */
export function drained(response) {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}

/** So many bytes that look like a GGUF file from outside, others for each seed. */
export function ggufBytes(length, seed = 1) {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  bytes.write("GGUF", 0, "latin1");
  return bytes;
}

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

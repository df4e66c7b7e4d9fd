import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseRange, serve } from "../../tools/serve.mjs";

const BYTES = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 251));
let folder, site;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "inkstone-serve-"));
  writeFileSync(join(folder, "model.gguf"), BYTES);
  writeFileSync(join(folder, "empty.json"), "");
  writeFileSync(join(folder, ".hidden"), "secret");
  site = await serve({
    routes: { "/files/": folder, "/calls/": (request, response, path) => response.end(`${request.method} ${path}`) },
  });
});

after(async () => {
  await site?.close();
  rmSync(folder, { recursive: true });
});

const get = (path, headers = {}) => fetch(site.url + path, { headers });
const body = async (response) => Buffer.from(await response.arrayBuffer());

test("a whole file, with its type and length", async () => {
  const response = await get("/files/model.gguf");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/octet-stream");
  assert.equal(response.headers.get("content-length"), "1000");
  assert.equal(response.headers.get("accept-ranges"), "bytes");
  assert.deepEqual(await body(response), BYTES);
  const empty = await get("/files/empty.json");
  assert.deepEqual([empty.status, empty.headers.get("content-type"), await empty.text()], [200, "application/json", ""]);
});

test("ranges", async () => {
  for (const [range, start, end] of [
    ["bytes=0-0", 0, 0],
    ["bytes=10-19", 10, 19],
    ["bytes=990-", 990, 999],
    ["bytes=990-5000", 990, 999],
    ["bytes=-5", 995, 999],
    ["bytes=-5000", 0, 999],
  ]) {
    const response = await get("/files/model.gguf", { range });
    assert.equal(response.status, 206, range);
    assert.equal(response.headers.get("content-range"), `bytes ${start}-${end}/1000`);
    assert.deepEqual(await body(response), BYTES.subarray(start, end + 1), range);
  }
  for (const range of ["bytes=1000-", "bytes=5000-6000", "bytes=-0"]) {
    const response = await get("/files/model.gguf", { range });
    assert.equal(response.status, 416, range);
    assert.equal(response.headers.get("content-range"), "bytes */1000");
  }
  for (const header of ["bytes=9-3", "bytes=-", "bytes=0-1,4-5", "lines=0-1", undefined]) {
    assert.equal(parseRange(header, 1000), undefined, header);
  }
});

test("an unchanged file is not sent again, and If-Range guards a resumed download", async () => {
  const etag = (await get("/files/model.gguf")).headers.get("etag");
  const again = await get("/files/model.gguf", { "if-none-match": etag });
  assert.deepEqual([again.status, await again.text()], [304, ""]);
  assert.equal((await get("/files/model.gguf", { range: "bytes=1-2", "if-range": etag })).status, 206);
  assert.equal((await get("/files/model.gguf", { range: "bytes=1-2", "if-range": '"other"' })).status, 200);
});

test("what is not there, not meant for the browser, or outside the folder, is not found", async () => {
  for (const path of ["/files/none", "/files/", "/files/.hidden", "/src/chat/main.ts", "/none.html", "/files/%00"]) {
    const response = await get(path);
    assert.equal(response.status, 404, path);
    assert.equal(await response.text(), "There is no such file.\n");
  }
  for (const path of ["/files/..%2f..%2fetc%2fpasswd", "/files/%2e%2e/%2e%2e/etc/passwd", "/..%2fpackage.json"]) {
    assert.equal((await get(path)).status, 404, path);
  }
  assert.equal((await get("/files/%E0%A4%A")).status, 400);
  assert.equal((await fetch(`${site.url}/files/model.gguf`, { method: "PUT", body: "x" })).status, 405);
});

test("a route may be a function", async () => {
  assert.equal(await (await get("/calls/some/where?x=1")).text(), "GET /calls/some/where");
});

test("a taken port is told plainly", async () => {
  const port = Number(new URL(site.url).port);
  await assert.rejects(serve({ port }), { message: `Port ${port} is taken: choose another one with PORT=8081 npm start.` });
});

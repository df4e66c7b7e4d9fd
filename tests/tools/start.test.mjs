// `npm start` once everything is there: no network is needed, and the port is the one that was asked for.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { root } from "../../tools/shell.mjs";

/** A port that nobody listens on. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

// Where nothing answers.
const NOWHERE = "http://127.0.0.1:9";
const OFFLINE = {
  http_proxy: NOWHERE,
  https_proxy: NOWHERE,
  HTTP_PROXY: NOWHERE,
  HTTPS_PROXY: NOWHERE,
  npm_config_registry: NOWHERE,
  npm_config_offline: "true",
  PIP_INDEX_URL: NOWHERE,
  CARGO_NET_OFFLINE: "true",
};

/** Runs `npm start` until it says where it is, or ends: `[what it printed, its status or undefined]`. */
async function start(port, use) {
  const child = spawn("npm", ["start"], {
    cwd: root,
    env: { ...process.env, ...OFFLINE, PORT: String(port) },
    detached: true, // npm passes no signal on: the whole group is ended
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  const ended = once(child, "close");
  const said = new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (text) => {
        printed += text;
        if (printed.includes("Ctrl+C ends it")) resolve();
      });
    }
  });
  await Promise.race([said, ended]);
  try {
    if (child.exitCode === null) await use?.();
  } finally {
    if (child.exitCode === null) process.kill(-child.pid, "SIGTERM");
    await ended;
  }
  return [printed, child.exitCode];
}

test("a second start needs no network and takes the port that it is given", async () => {
  const port = await freePort();
  const seen = {};
  const [printed] = await start(port, async () => {
    const pages = ["/chat.html", "/paint.html", "/search.html", "/bench.html"];
    for (const path of [...pages, "/pages/pdf/pdf.min.mjs", "/dist/inkstone.js", "/models/emoji/model_index.json"]) {
      seen[path] = (await fetch(`http://localhost:${port}${path}`)).status;
    }
    const model = "/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
    const head = await fetch(`http://localhost:${port}${model}`, { headers: { range: "bytes=0-3" } });
    seen[model] = await head.text();
    // A second one on the same port says what to do.
    const [complaint, status] = await start(port);
    assert.equal(status, 1);
    assert.match(complaint, new RegExp(`Port ${port} is taken: choose another`));
  });
  assert.match(printed, new RegExp(`http://localhost:${port}\\b`));
  assert.deepEqual(Object.values(seen), [...Array(7).fill(200), "GGUF"], printed);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import binaryen from "binaryen";
import { bytesPerCrate, withoutCustomSections } from "../../tools/wasm-sections.mjs";

const TEXT = `(module
  (import "m" "f" (func $imported (param i32)))
  (import "m" "g" (global $g (mut i32)))
  (import "m" "t" (table $t 1 2 funcref))
  (memory 1)
  (data (i32.const 0) "some bytes of a table")
  (export "a" (func $a)) (export "b" (func $b)) (export "c" (func $c)) (export "d" (func $d))
  (func $a (call $imported (i32.const 1)))
  (func $b (call $imported (i32.const 2)) (call $imported (i32.const 3)))
  (func $c (call $imported (i32.const 4)))
  (func $d (call $imported (i32.const 5))))`;
const NAMES = {
  a: "wgpu::api::device::Device::poll::h0123456789abcdef",
  b: "<&[inkstone::gpu::Tensor] as core::fmt::Debug>::fmt",
  c: "<inkstone[8c1f]::gpu::Plan>::run",
  d: "memcpy",
};

/** The module with these names, as wasm-opt -g writes it. */
function named() {
  const module = binaryen.parseText(TEXT);
  const plain = Buffer.from(module.emitBinary());
  module.dispose();
  const leb = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...leb(n >> 7)]);
  const text = (s) => [...leb(Buffer.byteLength(s)), ...Buffer.from(s)];
  const map = ["imported", ...Object.values(NAMES)].flatMap((name, i) => [i, ...text(name)]);
  const functions = [5, ...map];
  const moduleName = [0, ...leb(text("m").length), ...text("m")];
  const body = [...text("name"), ...moduleName, 1, ...leb(functions.length), ...functions];
  return Buffer.concat([plain, Buffer.from([0, ...leb(body.length), ...body])]);
}

test("code is counted for the first crate that a name mentions", () => {
  const rows = Object.fromEntries(bytesPerCrate(named()));
  // A body: its size, the count of locals, `end`; each call here 4 bytes.
  assert.deepEqual(rows, { inkstone: 11 + 7, wgpu: 7, "(no crate)": 7, "(data)": rows["(data)"] });
  assert.ok(rows["(data)"] >= "some bytes of a table".length);
});

test("custom sections can be dropped, and nothing else", () => {
  const bytes = named();
  assert.equal(WebAssembly.Module.customSections(new WebAssembly.Module(bytes), "name").length, 1);
  const stripped = withoutCustomSections(bytes);
  const module = new WebAssembly.Module(stripped);
  assert.equal(WebAssembly.Module.customSections(module, "name").length, 0);
  assert.equal(WebAssembly.Module.exports(module).length, 4);
  assert.deepEqual(withoutCustomSections(stripped), stripped);
});

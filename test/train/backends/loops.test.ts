// The compiled loops of training as a guest on a heap that is not theirs.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { webAssembly } from "../../../src/engine/web-assembly.js";
import { type Heap, LOOPS_FILE, loopsOf, ROUND } from "../../../src/train/backends/wasm-kernels/loops.js";

const PAGE = 2 ** 16;

function heapOf(memory: object): Heap {
  return { wasm: { asm: { memory } } };
}

test("nothing of the heap is written when they are put on it, and a call writes its outputs alone", () => {
  const memory = new webAssembly.Memory({ initial: 3 });
  const heap = Buffer.from(memory.buffer).fill(0xa5);
  const before = Uint8Array.from(heap);
  const loops = loopsOf(heapOf(memory));
  expect(memory.buffer.byteLength).toBe(3 * PAGE);
  expect(heap.equals(before)).toBe(true);

  // Addresses of floats, as tensors have them after a few channels: not those of whole vectors.
  const [a, b, out] = [PAGE + 4, PAGE + 2052, PAGE + 4100];
  const floats = new Float32Array(before.buffer);
  for (let i = 0; i < 2 * ROUND; i++) floats[a / 4 + i] = i;
  for (let i = 0; i < ROUND; i++) floats[b / 4 + i] = 0.5 * i;
  heap.set(before);
  loops.sub(a, b, out, 2, 1);
  for (let i = 0; i < 2 * ROUND; i++) floats[out / 4 + i] = i - 0.5 * (i % ROUND);
  expect(heap.equals(before)).toBe(true);
});

test("they ask for a memory of any size and nothing else, and export functions alone", () => {
  const { Module } = (globalThis as unknown as { WebAssembly: { Module: ModuleApi } }).WebAssembly;
  const module = new Module(readFileSync(LOOPS_FILE));
  expect(Module.imports(module)).toEqual([{ module: "env", name: "memory", kind: "memory" }]);
  expect(new Set(Module.exports(module).map(({ kind }) => kind))).toEqual(new Set(["function"]));
  loopsOf(heapOf(new webAssembly.Memory({ initial: 0 })));
});

describe("not there", () => {
  test("the file of the loops is named", () => {
    const heap = heapOf(new webAssembly.Memory({ initial: 1 }));
    const missing = new URL("nowhere/loops.wasm", import.meta.url);
    expect(() => loopsOf(heap, missing)).toThrow(
      "its loops are not compiled: dist/train/backends/loops.wasm is not there",
    );
  });

  test("a backend whose memory is elsewhere is told its version", () => {
    expect(() => loopsOf(heapOf({}))).toThrow(/not where that of version 4\.22\.0 is/);
  });
});

interface ModuleApi {
  new (bytes: Uint8Array): object;
  imports(module: object): readonly object[];
  exports(module: object): readonly { readonly kind: string }[];
}

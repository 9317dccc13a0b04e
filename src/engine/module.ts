// The engine's kernels in WebAssembly: what they are called with.

import { type WasmMemory, type WasmModule, webAssembly } from "./web-assembly.js";

/** Exports of assembly/simd.ts; addresses are numbers. */
export interface Kernels {
  convolution(
    windows: number,
    places: number,
    positions: number,
    weights: number,
    parameters: number,
    blocks: number,
    offsets: number,
    steps: number,
    target: number,
    size: number,
  ): void;
  depthwise(
    windows: number,
    places: number,
    positions: number,
    channels: number,
    blocks: number,
    weights: number,
    parameters: number,
    offsets: number,
    pairs: number,
    target: number,
  ): void;
  fusedAdd(
    a: number,
    b: number,
    to: number,
    rows: number,
    length: number,
    pitchA: number,
    pitchB: number,
    pitchTo: number,
    ratioA: number,
    ratioB: number,
    offset: number,
    target: number,
  ): void;
  integerAdd(
    a: number,
    b: number,
    to: number,
    rows: number,
    length: number,
    pitchA: number,
    pitchB: number,
    pitchTo: number,
    offset: number,
    multiplier: number,
    target: number,
  ): void;
  product(
    a: number,
    b: number,
    to: number,
    rows: number,
    columns: number,
    channels: number,
    pitchA: number,
    stepA: number,
    pitchB: number,
    stepB: number,
    pitchTo: number,
    stepTo: number,
    zeroA: number,
    zeroB: number,
    multiplier: number,
    addend: number,
    target: number,
  ): void;
  lookUp(
    from: number,
    to: number,
    rows: number,
    length: number,
    pitchFrom: number,
    pitchTo: number,
    table: number,
  ): void;
  quantize(
    x: number,
    to: number,
    rows: number,
    columns: number,
    channels: number,
    pitch: number,
    step: number,
    plane: number,
    pitchTo: number,
    stepTo: number,
    scale: number,
    target: number,
  ): void;
  copy(copies: number, runs: number, length: number): void;
  fill(to: number, rows: number, length: number, pitch: number, value: number): void;
  largest(windows: number, places: number, positions: number, channels: number, lists: number): void;
  mean(
    windows: number,
    places: number,
    positions: number,
    channels: number,
    lists: number,
    counts: number,
    zero: number,
    scale: number,
    scaleTo: number,
    zeroTo: number,
    target: number,
  ): void;
  total(
    x: number,
    rows: number,
    columns: number,
    pitch: number,
    step: number,
    channels: number,
    to: number,
    offset: number,
    multiplier: number,
    target: number,
  ): void;
}

/** Kernels on a memory. */
export async function instantiate(module: WasmModule, memory: WasmMemory): Promise<Kernels> {
  const { exports } = await webAssembly.instantiate(module, { env: { memory } });
  return exports as unknown as Kernels;
}

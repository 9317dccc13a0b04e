// The engine's kernels in WebAssembly: what they are called with.

import { withSharedMemory } from "./shared-memory.js";
import { type WasmMemory, type WasmModule, webAssembly } from "./web-assembly.js";

type FusedAdd = (
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
) => void;

type LookUp = (
  from: number,
  to: number,
  rows: number,
  length: number,
  pitchFrom: number,
  pitchTo: number,
  table: number,
) => void;

/** Exports of assembly/simd.ts; addresses are numbers. */
interface SimdKernels {
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
  readonly fusedAdd: FusedAdd;
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
  readonly lookUp: LookUp;
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
  lookUpPixels(
    from: number,
    to: number,
    rows: number,
    columns: number,
    size: number,
    channels: number,
    pitch: number,
    step: number,
    tables: number,
  ): void;
  copy(copies: number, runs: number, length: number): void;
  planes(from: number, to: number, positions: number, channels: number, step: number): void;
  pack(
    from: number,
    to: number,
    outputs: number,
    channels: number,
    elements: number,
    chunks: number,
    sums: number,
  ): number;
  shiftWeights(weights: number, bytes: number, shift: number): void;
  largestPairs(weights: number, blocks: number, steps: number, group: number): number;
  listPositions(
    to: number,
    count: number,
    rows: number,
    columns: number,
    first: number,
    pitch: number,
    step: number,
  ): void;
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

export type Convolution = Parameters<SimdKernels["convolution"]>;
export type Depthwise = Parameters<SimdKernels["depthwise"]>;

/** The sum of some products of one weight and one byte. */
type Products = (w: number, x: number) => number;

/** Exports of assembly/relaxed.ts. */
interface RelaxedKernels {
  convolutionPairs(...call: [...Convolution, shift: number, group: number]): void;
  convolutionOnce(...call: [...Convolution, shift: number]): void;
  convolutionEach(...call: [...Convolution, shift: number]): void;
  readonly convolutionQuads: (...call: Convolution) => void;
  readonly convolutionSigned: (...call: Convolution) => void;
  readonly depthwiseQuads: (...call: Depthwise) => void;
  readonly depthwiseSigned: (...call: Depthwise) => void;
  depthwiseOnce(...call: [...Depthwise, shift: number]): void;
  depthwisePairs(...call: [...Depthwise, shift: number, group: number]): void;
  readonly selectLookUp: LookUp;
  readonly maddAdd: FusedAdd;
  readonly multiplyAdd: (a: number, b: number, c: number) => number;
  readonly twoProducts: Products;
  readonly fourProducts: Products;
}

/** Kernels on a memory; those of relaxed SIMD only where this machine computes them exactly. */
export interface Kernels extends SimdKernels {
  /** Weights whose pairs of products fit 16 bits. */
  readonly pairs: Pick<
    RelaxedKernels,
    "convolutionPairs" | "convolutionOnce" | "convolutionEach" | "depthwiseOnce" | "depthwisePairs"
  > | null;
  readonly quads: Quads | null;
}

/** Sums of four products at a time. */
export interface Quads extends Pick<RelaxedKernels, "convolutionQuads" | "depthwiseQuads"> {
  /** What is taken from each byte before it is multiplied; biases make up for it. */
  readonly centre: 0 | 128;
  /** Smaller weights may not come out. */
  readonly leastWeight: -128 | -127;
}

export interface EngineModules {
  /** assembly/simd.ts */
  readonly simd: WasmModule;
  /** assembly/relaxed.ts; null where the machine does not have relaxed SIMD. */
  readonly relaxed: WasmModule | null;
}

/** Both modules from their bytes. */
export async function compileModules(simd: Uint8Array, relaxed: Uint8Array | null): Promise<EngineModules> {
  const hasRelaxed = relaxed !== null && webAssembly.validate(relaxed);
  return {
    simd: await webAssembly.compile(simd),
    relaxed: hasRelaxed ? await webAssembly.compile(relaxed) : null,
  };
}

/** The same for memory that threads share. */
export function compileShared(simd: Uint8Array, relaxed: Uint8Array | null): Promise<EngineModules> {
  return compileModules(withSharedMemory(simd), relaxed && withSharedMemory(relaxed));
}

export async function instantiate({ simd, relaxed }: EngineModules, memory: WasmMemory): Promise<Kernels> {
  const imports = { env: { memory } };
  const kernels = (await webAssembly.instantiate(simd, imports)).exports as SimdKernels;
  const more = relaxed && ((await webAssembly.instantiate(relaxed, imports)).exports as RelaxedKernels);
  return {
    ...kernels,
    ...(more && { lookUp: more.selectLookUp }),
    ...(more && isFused(more.multiplyAdd) && { fusedAdd: more.maddAdd }),
    pairs: more && isExact(more.twoProducts, 2, [-64, -8, -1, 7, 8, 31, 64]) ? more : null,
    quads: more && quadsOf(more),
  };
}

/** null where the machine cuts sums off. */
function quadsOf(relaxed: RelaxedKernels): Quads | null {
  const { fourProducts, convolutionQuads, depthwiseQuads, convolutionSigned, depthwiseSigned } = relaxed;
  if (isExact(fourProducts, 4, [-128, -1, 1, 64, 127])) {
    return { convolutionQuads, depthwiseQuads, centre: 0, leastWeight: -128 };
  }
  // Without instructions for dot products, ARM adds two products in 16 bits, where (-128) (-128) twice has no room.
  if (isExact((w, x) => fourProducts(w, x ^ 128), 4, [-127, -1, 1, 64, 127], 128)) {
    return {
      convolutionQuads: convolutionSigned,
      depthwiseQuads: depthwiseSigned,
      centre: 128,
      leastWeight: -127,
    };
  }
  return null;
}

/**
 * What relaxed SIMD is on this machine: "unsigned" (sums of four products of bytes are exact: VNNI), "signed" (they are once
 * 128 is taken from each byte: ARM), "saturating" (sums of two are, of weights of few bits), "inexact", or "absent".
 */
export type RelaxedClass = "unsigned" | "signed" | "saturating" | "inexact" | "absent";

export async function relaxedClass(modules: EngineModules): Promise<RelaxedClass> {
  if (!modules.relaxed) return "absent";
  const { pairs, quads } = await instantiate(modules, new webAssembly.Memory({ initial: 1 }));
  if (quads) return quads.centre === 0 ? "unsigned" : "signed";
  return pairs ? "saturating" : "inexact";
}

/** Calls before and after which results are looked at: enough for an engine to compile a function anew. */
const WARM_UP = 2000;

/** Whether what a call gives is right, before and after it is compiled anew. */
function holdsWarm(holds: () => boolean, call: () => void): boolean {
  if (!holds()) return false;
  for (let i = 0; i < WARM_UP; i++) call();
  return holds();
}

/**
 * Whether `count` products of one weight and one byte less `centre` come out as they are: machines take the byte for signed or
 * cut sums off at 16 bits.
 */
function isExact(products: Products, count: number, weights: readonly number[], centre = 0): boolean {
  const bytes = [0, 1, 127, 128, 200, 255];
  return holdsWarm(
    () => weights.every((w) => bytes.every((x) => products(w, x) === count * w * (x - centre))),
    () => products(1, 255),
  );
}

/** Whether a product and a sum are rounded together: the product's last bit is all that is left of it. */
function isFused(multiplyAdd: RelaxedKernels["multiplyAdd"]): boolean {
  const a = 1 + 2 ** -12;
  return holdsWarm(
    () =>
      multiplyAdd(a, a, -(a * a) + 2 ** -24) === 2 ** -24 &&
      multiplyAdd(-a, a, a * a - 2 ** -24) === -(2 ** -24),
    () => multiplyAdd(1, 2, 3),
  );
}

// The vector loops of assembly/ on the heap of tfjs's backend: where `npm run build` put them, and what they are called
// with.

import { existsSync, readFileSync } from "node:fs";

/** Elements a round: every loop over elements takes whole rounds. */
export const ROUND = 16;

/**
 * `out[i] = f(a[i], b[i % period])`: `periods` times `rounds` rounds, b from its beginning in each period.
 * Addresses; b has rounds * 16 elements.
 */
export type PeriodicLoop = (a: number, b: number, out: number, periods: number, rounds: number) => void;

export type PeriodicName =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "subFrom"
  | "divInto"
  | "min"
  | "max"
  | "equal"
  | "notEqual"
  | "less"
  | "lessEqual"
  | "greater"
  | "greaterEqual";

/**
 * Adds to `out` what `rows * pixels` pixels of x and of dy give. Distances in bytes: of one pixel of x to the next
 * `xPixel`, of the first of one row to the first of the next `xRow`, of one channel of x to the next in out `outRow`.
 */
export type Products = (
  x: number,
  dy: number,
  out: number,
  rows: number,
  pixels: number,
  xPixel: number,
  xRow: number,
  dyPixel: number,
  dyRow: number,
  outRow: number,
) => void;

export type ProductsName =
  | "outer4x8"
  | "outer4x4"
  | "outer1x8"
  | "outer1x4"
  | "inner16"
  | "inner4"
  | "inner1";

/** Exports of assembly/loops.ts; addresses are numbers, periods, rounds, rows and pixels at least 1. */
export type Loops = Readonly<Record<PeriodicName, PeriodicLoop> & Record<ProductsName, Products>> & {
  select(condition: number, yes: number, no: number, out: number, rounds: number): void;
  positive(a: number, b: number, out: number, rounds: number): void;
  affine(a: number, factor: number, offset: number, out: number, periods: number, rounds: number): void;
  biaffine(
    a: number,
    factor: number,
    b: number,
    slope: number,
    offset: number,
    out: number,
    periods: number,
    rounds: number,
  ): void;
  grid(v: number, scale: number, low: number, high: number, out: number, rounds: number): void;
  gridGradient(
    dy: number,
    v: number,
    y: number,
    dv: number,
    least: number,
    greatest: number,
    sums: number,
    rounds: number,
  ): void;
};

/** What is used of tfjs's backend: emscripten's own memory. */
export interface Heap {
  readonly wasm: { readonly asm: { readonly memory: object } };
}

/** What is used of JavaScript's WebAssembly, which no types of this project declare. */
interface Api {
  readonly Memory: new (limits: { initial: number }) => object;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { env: { memory: object } },
  ) => { readonly exports: unknown };
}

/** What `npm run build` made: the same number of folders up from here in src and in dist. */
export const LOOPS_FILE: URL = new URL("../../../../dist/train/backends/loops.wasm", import.meta.url);

const instances = new WeakMap<object, Loops>();

/**
 * @param file what assembly/loops.ts became
 * @throws Error when the backend keeps its memory elsewhere than tfjs 4.22 does, or when the file is not there
 */
export function loopsOf(backend: Heap, file: URL = LOOPS_FILE): Loops {
  const known = instances.get(backend);
  if (known) return known;
  const { Memory, Module, Instance } = (globalThis as unknown as { WebAssembly: Api }).WebAssembly;
  const memory: unknown = backend.wasm?.asm?.memory;
  if (!(memory instanceof Memory)) {
    throw new Error("its memory is not where that of version 4.22.0 is; install that version");
  }
  if (!existsSync(file)) {
    throw new Error("its loops are not compiled: dist/train/backends/loops.wasm is not there");
  }
  const loops = new Instance(new Module(readFileSync(file)), { env: { memory } }).exports as Loops;
  instances.set(backend, loops);
  return loops;
}

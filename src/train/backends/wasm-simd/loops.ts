// The vector loops as one WebAssembly module over the heap of tfjs's backend.

import { moduleOf } from "./assembler.js";
import { arithmetic, comparing, type PeriodicLoop, selecting, type SelectLoop } from "./elementwise.js";
import {
  affine,
  type AffineLoop,
  biaffine,
  type BiaffineLoop,
  grid,
  gridGradient,
  type GridGradientLoop,
  type GridLoop,
  positive,
  type PositiveLoop,
} from "./fused.js";
import { innerProducts, outerProducts, type Products } from "./products.js";

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

export type ProductsName =
  | "outer4x8"
  | "outer4x4"
  | "outer1x8"
  | "outer1x4"
  | "inner16"
  | "inner4"
  | "inner1";

export type Loops = Readonly<
  Record<PeriodicName, PeriodicLoop> &
    Record<ProductsName, Products> & {
      select: SelectLoop;
      positive: PositiveLoop;
      affine: AffineLoop;
      biaffine: BiaffineLoop;
      grid: GridLoop;
      gridGradient: GridGradientLoop;
    }
>;

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
    imports: { heap: { memory: object } },
  ) => { readonly exports: unknown };
}

const FUNCTIONS = [
  ...outerProducts,
  ...innerProducts,
  ...arithmetic,
  ...comparing,
  selecting,
  positive,
  affine,
  biaffine,
  grid,
  gridGradient,
];

const compiled = new WeakMap<object, Loops>();

/** @throws Error when the backend keeps its memory elsewhere than tfjs 4.22 does */
export function loopsOf(backend: Heap): Loops {
  const known = compiled.get(backend);
  if (known) return known;
  const { Memory, Module, Instance } = (globalThis as unknown as { WebAssembly: Api }).WebAssembly;
  const memory: unknown = backend.wasm?.asm?.memory;
  if (!(memory instanceof Memory)) {
    throw new Error("its memory is not where that of version 4.22.0 is; install that version");
  }
  const loops = new Instance(new Module(moduleOf(FUNCTIONS)), { heap: { memory } }).exports as Loops;
  compiled.set(backend, loops);
  return loops;
}

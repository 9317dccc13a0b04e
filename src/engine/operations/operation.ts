// What the engine does in one go: made when a file is raised, prepared once its tensors have their places, then run.

import type { Tensor } from "../../base/tensor.js";
import type { Value } from "../../graph/graph.js";
import type { Bytes } from "../bytes.js";
import type { EngineMemory } from "../memory.js";
import type { Kernels } from "../module.js";

/** The tensors of a run that are not bytes: inputs, and what is computed in float32. */
export type Tensors = Map<Value, Tensor>;

export type Run = (tensors: Tensors) => void;

export interface Operation {
  /** The node, for messages. */
  readonly where: string;
  readonly reads: readonly Bytes[];
  readonly writes: Bytes | null;
  /** What it quantizes; of no other operation. */
  readonly quantizer?: Quantizer;
  /** Puts its constants into memory. Called once, when every storage has its address. */
  prepare(memory: EngineMemory, kernels: Kernels): Run;
}

/** The bytes that a result is clipped to, and its zero point. A Clip that follows narrows the first two. */
export interface Limits {
  low: number;
  high: number;
  readonly zeroPoint: number;
}

/** QuantizeLinear of a float32 tensor. */
export interface Quantizer {
  readonly x: Value;
  readonly scale: number;
  readonly limits: Limits;
}

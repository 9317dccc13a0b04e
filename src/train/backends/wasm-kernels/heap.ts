// The floats behind tensors on the heap of tfjs's WebAssembly backend, for kernels that are loops over them.

import * as tf from "@tensorflow/tfjs";
import type { Kernel } from "../kernel.js";
import type { Heap } from "./loops.js";

/** What tfjs's BackendWasm has that a kernel written here needs. */
export interface WasmBackend extends Heap {
  makeOutput(shape: readonly number[], dtype: tf.DataType): tf.TensorInfo;
  /** One more tensor shares the memory. */
  incRef(dataId: tf.DataId): void;
  typedArrayFromHeap(tensor: tf.TensorInfo): Float32Array | Int32Array | Uint8Array;
}

/** A kernel on this backend. */
export type WasmKernel = Kernel<WasmBackend>;

/** A new tensor whose elements are whatever the heap held. */
export function allocate(
  backend: WasmBackend,
  shape: readonly number[],
  dtype: "float32" | "int32" | "bool" = "float32",
): tf.Tensor {
  return tf.engine().makeTensorFromTensorInfo(backend.makeOutput([...shape], dtype));
}

/**
 * The elements of a float32 tensor, in place. To be taken after the last allocation: when the heap grows, views
 * that were taken before lose their memory.
 */
export function floatsOf(backend: WasmBackend, tensor: tf.TensorInfo): Float32Array {
  return backend.typedArrayFromHeap(tensor) as Float32Array;
}

/** The elements of a tensor of any type of four bytes, bit by bit. Like floatsOf, after the last allocation. */
export function wordsOf(backend: WasmBackend, tensor: tf.TensorInfo): Int32Array {
  const { buffer, byteOffset, length } = backend.typedArrayFromHeap(tensor);
  return new Int32Array(buffer, byteOffset, length);
}

/** The elements of a bool tensor, 0 or 1, in place. Like floatsOf, after the last allocation. */
export function boolsOf(backend: WasmBackend, tensor: tf.TensorInfo): Uint8Array {
  return backend.typedArrayFromHeap(tensor) as Uint8Array;
}

/** Where the elements begin, in bytes. Unlike views, addresses stay when the heap grows. */
export function addressOf(backend: WasmBackend, tensor: tf.TensorInfo): number {
  return backend.typedArrayFromHeap(tensor).byteOffset;
}

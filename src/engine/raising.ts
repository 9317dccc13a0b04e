// What the raising of one node may ask of the raising of the graph.

import { QdgError } from "../base/error.js";
import { sizeOf, type Tensor } from "../base/tensor.js";
import type { Operators } from "../compute/kernel.js";
import { sameShape } from "../compute/shapes.js";
import type { Value } from "../graph/graph.js";
import type { Bytes } from "./bytes.js";
import type { Limits, Operation } from "./operations/operation.js";

export interface Raising {
  /** For what is no integer pattern. */
  readonly operators: Operators;
  readonly constants: ReadonlyMap<Value, Tensor>;
  /** Bytes in whatever order they are. */
  bytesOf(value: Value): Bytes;
  /** Bytes whose channels are that axis of the file. */
  bytesAlong(value: Value, channelAxis: number): Bytes;
  /** The same, repeated along axes where the value has one element. */
  spread(value: Value, channelAxis: number, shape: readonly number[]): Bytes;
  /** New bytes for a value, which the operation that is added next writes. */
  create(value: Value, channelAxis: number, limits?: Limits): Bytes;
  /** The same bytes under the shape of another value. */
  alias(value: Value, channelAxis: number, bytes: Bytes): Bytes;
  add(operation: Operation): void;
  shapeOf(value: Value): readonly number[];
}

export function refused(where: string, what: string): QdgError {
  return new QdgError("unsupported-op", where, `the engine does not compute ${what}; run the file on wasm`);
}

/** Both operands of a sum or product in one order and shape. */
export function operandsOf(
  raising: Raising,
  [a, b]: readonly [Value, Value],
  output: Value,
): readonly [Bytes, Bytes] {
  const shape = raising.shapeOf(output);
  const { channelAxis } = raising.bytesOf(sizeOf(raising.shapeOf(a)) < sizeOf(raising.shapeOf(b)) ? b : a);
  return [raising.spread(a, channelAxis, shape), raising.spread(b, channelAxis, shape)];
}

/** The same for a product: an operand that has one element a channel stays as it is. */
export function factorsOf(
  raising: Raising,
  [a, b]: readonly [Value, Value],
  output: Value,
): readonly [Bytes, Bytes] {
  const shape = raising.shapeOf(output);
  const [large, small] = sizeOf(raising.shapeOf(a)) < sizeOf(raising.shapeOf(b)) ? [b, a] : [a, b];
  const image = raising.bytesOf(large);
  const { channelAxis } = image;
  const factors = raising.shapeOf(small);
  const isFactorOfChannels =
    sameShape(image.shape, shape) &&
    factors.length === shape.length &&
    factors.every((dim, axis) => dim === (axis === channelAxis ? shape[axis] : 1));
  const other = isFactorOfChannels
    ? raising.bytesAlong(small, channelAxis)
    : raising.spread(small, channelAxis, shape);
  const whole = raising.spread(large, channelAxis, shape);
  return large === a ? [whole, other] : [other, whole];
}

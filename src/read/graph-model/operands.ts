// Tensors that are broadcast against each other, brought into one layout: channels first where one of them is so and all
// computed ones have as many axes, so that nothing has to be transposed within a convolutional network.

import { sizeOf, type Tensor, transpose } from "../../base/tensor.js";
import type { Dim, Value } from "../../graph/graph.js";
import { type Layout, permute, toChannelsFirst } from "../held.js";
import type { OpCall } from "./call.js";
import { broadcastShapes, constantOf, type GraphTensor, shapeOfTensor } from "./tensors.js";

export interface Operands {
  readonly values: readonly Value[];
  readonly layout: Layout;
  /** Of the result, in that layout. */
  readonly shape: readonly Dim[];
}

/** @throws QdgError `invalid-model` where shapes do not go together */
export function operandsOf(call: OpCall, tensors: readonly GraphTensor[]): Operands {
  const shape = broadcastShapes(tensors.map(shapeOfTensor), call.where);
  const rank = shape.length;
  const computed = tensors.filter((each) => !constantOf(each));
  const moves =
    rank > 2 &&
    computed.some(({ held }) => held.layout === "channels-first") &&
    computed.every(({ held }) => held.value.shape.length === rank);
  if (!moves) return { values: tensors.map(({ held }) => call.asIs(held)), layout: "as-is", shape };
  return {
    values: tensors.map((each) => {
      const constant = constantOf(each);
      return constant ? moved(call, each, constant, rank) : call.channelsFirst(each.held);
    }),
    layout: "channels-first",
    shape: permute(shape, toChannelsFirst(rank)),
  };
}

/** A constant as it is broadcast against [N, C, ...space]; leading axes of size 1 are left out. */
function moved(call: OpCall, { held }: GraphTensor, constant: Tensor, rank: number): Value {
  const size = sizeOf(constant.shape);
  if (size === 1 && constant.shape.length === 0) return held.value;
  const full = [...Array<number>(rank - constant.shape.length).fill(1), ...constant.shape];
  const turned = transpose({ ...constant, shape: full }, toChannelsFirst(rank));
  const first = turned.shape.findIndex((dim) => dim !== 1);
  const shape = first < 0 ? [] : turned.shape.slice(first);
  return call.constant(`${held.value.name.split("/").at(-1)}_channels_first`, { ...turned, shape });
}

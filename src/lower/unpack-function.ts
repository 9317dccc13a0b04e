// The model-local function that unpacks bit-planes, one for each bit width. Written once a file: spelled
// out in every layer, the unpacking of a small network would outweigh its weights.

import { int64, tensor, type Tensor } from "../base/tensor.js";
import type { Attribute } from "../graph/graph.js";
import { bodyNode, localFunction } from "../onnx/local-function.js";
import type { FunctionProto, NodeProto } from "../onnx/model-proto.js";

/** `Unpack3` for 3 bits. */
export function unpackFunctionName(bits: number): string {
  return `Unpack${bits}`;
}

/**
 * `Unpack<bits>(planes: uint8[bits, ceil(n / 8)], shape: int64[r]) -> int8[shape]`, n the product of shape:
 * element i is the two's complement integer whose bit b is bit `i % 8` of `planes[b, floor(i / 8)]`, the
 * highest one extended as its sign. All in uint8 (int32 would cost four times the memory at load): the sign
 * bit fills the byte by doubling shifts, and the last Cast wraps uint8 to int8.
 *
 * @param opset version of the standard operators, >= 18 (BitwiseOr, Split by count)
 */
export function unpackFunction(bits: number, opset: number): FunctionProto {
  const nodes: NodeProto[] = [];
  const node = (
    op: string,
    inputs: string[],
    outputs: string[],
    attributes: Record<string, Attribute> = {},
  ): void => {
    nodes.push(bodyNode(op, inputs, outputs, attributes));
  };
  const constant = (name: string, value: Tensor): void => node("Constant", [], [name], { value });

  // Shift amounts 0..7; each is also a scalar on its own where one plane is moved to its place.
  constant("steps", tensor("uint8", [8], Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7)));
  for (const step of new Set([1, 2, 4, ...Array.from({ length: bits - 1 }, (_, i) => i + 1)])) {
    constant(`s${step}`, tensor("uint8", [], Uint8Array.of(step)));
  }
  constant("last", int64([1], [2]));
  constant("zero", int64([1], [0]));
  constant("flatShape", int64([1], [-1]));

  node("Unsqueeze", ["planes", "last"], ["column"]);
  node("BitShift", ["column", "steps"], ["shifted"], { direction: "RIGHT" });
  node("BitwiseAnd", ["shifted", "s1"], ["all"]);
  const planeNames = Array.from({ length: bits }, (_, b) => `b${b}`);
  node("Split", ["all"], planeNames, { axis: 0, num_outputs: bits });

  let byte = `b${bits - 1}`;
  for (const step of [1, 2, 4]) {
    node("BitShift", [byte, `s${step}`], [`d${step}`], { direction: "LEFT" });
    node("BitwiseOr", [byte, `d${step}`], [`f${step}`]);
    byte = `f${step}`;
  }
  node("BitShift", [byte, `s${bits - 1}`], ["high"], { direction: "LEFT" });
  byte = "high";
  for (let b = 0; b < bits - 1; b++) {
    const plane = b === 0 ? "b0" : `p${b}`;
    if (b > 0) node("BitShift", [`b${b}`, `s${b}`], [plane], { direction: "LEFT" });
    node("BitwiseOr", [byte, plane], [`o${b}`]);
    byte = `o${b}`;
  }
  node("Reshape", [byte, "flatShape"], ["flat"]);
  node("ReduceProd", ["shape"], ["count"], { keepdims: 1 });
  node("Slice", ["flat", "zero", "count"], ["exact"]);
  node("Reshape", ["exact", "shape"], ["bytes"]);
  node("Cast", ["bytes"], ["weights"], { to: 3 });
  return localFunction({
    name: unpackFunctionName(bits),
    inputs: ["planes", "shape"],
    outputs: ["weights"],
    nodes,
    opset,
  });
}

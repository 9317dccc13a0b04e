// The model-local function that multiplies integer weights by a power of two, so that the kernel's bias has finer steps.

import { bodyNode, localFunction } from "../onnx/local-function.js";
import type { FunctionProto } from "../onnx/model-proto.js";

export const SHIFT_FUNCTION = "Shift";

/**
 * `Shift(x: int8[...], places: uint8[]) -> int8[...]`: `x * 2^places`, where that is an int8. BitShift is of unsigned
 * integers only; the casts keep the bits.
 */
export function shiftFunction(opset: number): FunctionProto {
  return localFunction({
    name: SHIFT_FUNCTION,
    inputs: ["x", "places"],
    outputs: ["y"],
    nodes: [
      bodyNode("Cast", ["x"], ["bits"], { to: 2 }),
      bodyNode("BitShift", ["bits", "places"], ["moved"], { direction: "LEFT" }),
      bodyNode("Cast", ["moved"], ["y"], { to: 3 }),
    ],
    opset,
  });
}

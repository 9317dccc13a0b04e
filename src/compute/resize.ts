// ONNX Resize: nearest (every type) and linear (float32), one axis after the other.

import type { Tensor } from "../base/tensor.js";
import { stringAttribute } from "../graph/graph.js";
import type { Call, Kernel } from "./kernel.js";
import {
  float32At,
  inputAt,
  invalid,
  newTensor,
  optionalInput,
  optionalInts,
  unsupported,
} from "./kernel.js";
import { around } from "./shapes.js";

/** Refuses what would need another formula: cubic, antialias, crop and resize, exclude_outside. */
export const resize: Kernel = (call) => {
  const mode = stringAttribute(call.node, "mode", "nearest");
  if (mode !== "nearest" && mode !== "linear") throw unsupported(call, `mode "${mode}"`);
  for (const name of ["antialias", "axes", "exclude_outside"]) {
    const value = call.node.attributes[name];
    if (value !== undefined && value !== 0) throw unsupported(call, `attribute ${name}`);
  }
  let x = inputAt(call, 0);
  const { sizes, scales } = target(call, x.shape);
  sizes.forEach((size, axis) => {
    const scale = scales[axis] as number;
    if (size === x.shape[axis] && scale === 1) return;
    x = mode === "nearest" ? nearest(call, x, axis, size, scale) : linear(call, x, axis, size, scale);
  });
  return [x];
};

function target(
  call: Call,
  shape: readonly number[],
): { readonly sizes: readonly number[]; readonly scales: readonly number[] } {
  const given = optionalInput(call, 2);
  const sizes = optionalInts(call, 3);
  if (sizes) {
    if (sizes.length !== shape.length) throw invalid(call, `got ${sizes.length} sizes`);
    if (stringAttribute(call.node, "keep_aspect_ratio_policy", "stretch") !== "stretch") {
      throw unsupported(call, "keep_aspect_ratio_policy");
    }
    return { sizes, scales: sizes.map((size, axis) => size / (shape[axis] as number)) };
  }
  const scales = given && given.data.length > 0 ? [...float32At(call, 2)] : null;
  if (scales?.length !== shape.length) throw invalid(call, "needs scales or sizes for every axis");
  return { sizes: shape.map((dim, axis) => Math.floor(dim * (scales[axis] as number))), scales };
}

/** Where output position i stands in the input, as a real number. */
function coordinate(call: Call, i: number, size: number, outputSize: number, scale: number): number {
  const mode = stringAttribute(call.node, "coordinate_transformation_mode", "half_pixel");
  switch (mode) {
    case "asymmetric":
      return Math.fround(i / scale);
    case "half_pixel":
      return (i + 0.5) / scale - 0.5;
    case "pytorch_half_pixel":
      return outputSize > 1 ? (i + 0.5) / scale - 0.5 : 0;
    case "align_corners":
      return outputSize === 1 ? 0 : (i * (size - 1)) / (outputSize - 1);
    default:
      throw unsupported(call, `coordinate_transformation_mode "${mode}"`);
  }
}

const ROUNDINGS: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

function nearest(call: Call, x: Tensor, axis: number, outputSize: number, scale: number): Tensor {
  const name = stringAttribute(call.node, "nearest_mode", "round_prefer_floor");
  const round = ROUNDINGS[name];
  if (!round) throw invalid(call, `nearest_mode "${name}"`);
  const [outer, size, inner] = around(x.shape, axis);
  const y = newTensor(call, x.dtype, x.shape.with(axis, outputSize)) as Tensor;
  for (let i = 0; i < outputSize; i++) {
    const at = Math.min(Math.max(round(coordinate(call, i, size, outputSize, scale)), 0), size - 1);
    for (let o = 0; o < outer; o++) {
      for (let e = 0; e < inner; e++) {
        y.data[(o * outputSize + i) * inner + e] = x.data[(o * size + at) * inner + e] as never;
      }
    }
  }
  return y;
}

function linear(call: Call, x: Tensor, axis: number, outputSize: number, scale: number): Tensor {
  if (x.dtype !== "float32") throw unsupported(call, `linear resizing of ${x.dtype}`);
  const [outer, size, inner] = around(x.shape, axis);
  const data = x.data as Float32Array;
  const y = newTensor(call, "float32", x.shape.with(axis, outputSize));
  for (let i = 0; i < outputSize; i++) {
    const at = Math.min(Math.max(coordinate(call, i, size, outputSize, scale), 0), size - 1);
    const low = Math.floor(at);
    const high = Math.min(low + 1, size - 1);
    const share = at - low;
    for (let o = 0; o < outer; o++) {
      for (let e = 0; e < inner; e++) {
        const a = data[(o * size + low) * inner + e] as number;
        const b = data[(o * size + high) * inner + e] as number;
        y.data[(o * outputSize + i) * inner + e] = a * (1 - share) + b * share;
      }
    }
  }
  return y;
}

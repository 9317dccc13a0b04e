// What operators with windows make of their inputs' shapes: sizes of results, windows along each axis. Computes no element.

import { intAttribute, intsAttribute } from "../graph/graph.js";
import type { Call } from "./kernel.js";
import { invalid, unsupported } from "./kernel.js";
import type { Volume, Window } from "./window.js";
import { volumeOf, windowAttributes, windowsOver } from "./window.js";

/** Shapes: x [N, C, D, H, W], w [K, C/group, T, R, S], y [N, K, depth, rows, columns]; D and H may be absent. */
export interface ConvGeometry extends Volume {
  readonly N: number;
  readonly C: number;
  readonly K: number;
  readonly group: number;
  readonly outputShape: readonly number[];
}

/** @throws QdgError `invalid-graph` for shapes that do not fit together */
export function convGeometry(call: Call, x: readonly number[], w: readonly number[]): ConvGeometry {
  const [N = 0, C = 0] = x;
  const [K = 0, perGroup = 0] = w;
  const group = intAttribute(call.node, "group", 1);
  const kernel = w.slice(2);
  const listed = intsAttribute(call.node, "kernel_shape");
  const kernelDiffers = listed && listed.some((size, axis) => size !== kernel[axis]);
  if (x.length !== w.length || group < 1 || C !== perGroup * group || K % group !== 0 || kernelDiffers) {
    throw invalid(call, `input [${x.join(", ")}], weights [${w.join(", ")}], group ${group}`);
  }
  const windows = windowsOver(call, x.slice(2), windowAttributes(call, kernel));
  const outputShape = [N, K, ...windows.map((window) => window.outputSize)];
  return { N, C, K, group, ...volumeOf(windows), outputShape };
}

/**
 * The windows of a ConvTranspose: input position i adds to output i * stride + r * dilation - padBegin.
 *
 * @param sizes of the input's spatial axes
 */
export function transposedWindows(call: Call, sizes: readonly number[], kernel: readonly number[]): Window[] {
  const attributes = windowAttributes(call, kernel);
  const extra = intsAttribute(call.node, "output_padding");
  const outputShape = intsAttribute(call.node, "output_shape");
  const rank = kernel.length;
  return sizes.map((size, axis) => {
    const stride = attributes.strides[axis] as number;
    const dilation = attributes.dilations[axis] as number;
    const extent = dilation * ((kernel[axis] as number) - 1) + 1;
    const full = stride * (size - 1) + (extra?.[axis] ?? 0) + extent;
    let padBegin = attributes.pads?.[axis] ?? 0;
    let padEnd = attributes.pads?.[axis + rank] ?? 0;
    let wanted = outputShape?.[axis - rank + outputShape.length];
    if (wanted === undefined && attributes.autoPad.startsWith("SAME")) wanted = size * stride;
    if (wanted !== undefined) {
      const total = Math.max(0, full - wanted);
      const small = Math.floor(total / 2);
      [padBegin, padEnd] =
        attributes.autoPad === "SAME_UPPER" ? [small, total - small] : [total - small, small];
    } else if (attributes.autoPad === "VALID") {
      [padBegin, padEnd] = [0, 0];
    } else if (attributes.autoPad !== "NOTSET") {
      throw unsupported(call, `auto_pad "${attributes.autoPad}"`);
    }
    const outputSize = wanted ?? full - padBegin - padEnd;
    return { size, kernel: kernel[axis] as number, stride, dilation, padBegin, padEnd, outputSize };
  });
}

export interface PoolGeometry extends Volume {
  readonly outputShape: readonly number[];
}

export function poolGeometry(call: Call, shape: readonly number[]): PoolGeometry {
  const kernel = intsAttribute(call.node, "kernel_shape");
  if (!kernel || kernel.length !== shape.length - 2) {
    throw invalid(call, `kernel_shape [${kernel?.join(", ") ?? ""}] for input [${shape.join(", ")}]`);
  }
  const windows = windowsOver(call, shape.slice(2), windowAttributes(call, kernel));
  const outputShape = [...shape.slice(0, 2), ...windows.map((window) => window.outputSize)];
  return { ...volumeOf(windows), outputShape };
}

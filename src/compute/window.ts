// The geometry of operators that slide a window over an image: sizes, strides, padding, as ONNX defines them
// for Conv, ConvTranspose and the pools. Fewer than three spatial axes are treated as a volume
// of one image, or an image of one row.

import { intAttribute, intsAttribute, stringAttribute } from "../graph/graph.js";
import type { Call } from "./kernel.js";
import { invalid, unsupported } from "./kernel.js";

/** A window along one axis. `size` is the input's, `padBegin` comes before its first element. */
export interface Window {
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padBegin: number;
  readonly padEnd: number;
  readonly outputSize: number;
}

/** What a node says of its windows, one entry a spatial axis. */
export interface WindowAttributes {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[] | null;
  readonly autoPad: string;
}

/** @throws QdgError `invalid-graph` for lists of the wrong length or sizes below 1 */
export function windowAttributes(call: Call, kernel: readonly number[]): WindowAttributes {
  const rank = kernel.length;
  if (rank < 1 || rank > 3) throw unsupported(call, `${rank} spatial axes`);
  const list = (name: string, length: number): readonly number[] | null => {
    const value = intsAttribute(call.node, name);
    if (!value || value.length === 0) return null;
    if (value.length !== length) throw invalid(call, `${name}: got ${value.length}, expected ${length}`);
    return value;
  };
  const ones = kernel.map(() => 1);
  const attributes = {
    kernel,
    strides: list("strides", rank) ?? ones,
    dilations: list("dilations", rank) ?? ones,
    pads: list("pads", 2 * rank),
    autoPad: stringAttribute(call.node, "auto_pad", "NOTSET"),
  };
  for (const value of [...kernel, ...attributes.strides, ...attributes.dilations]) {
    if (value < 1) throw invalid(call, `kernel, strides and dilations: got ${value}, expected at least 1`);
  }
  return attributes;
}

/**
 * The windows over the spatial axes `sizes`: output = floor((size + pads - extent) / stride) + 1, ceil with
 * `ceil_mode`, where a last window that would start in the end padding is left out.
 */
export function windowsOver(call: Call, sizes: readonly number[], attributes: WindowAttributes): Window[] {
  const ceil = intAttribute(call.node, "ceil_mode", 0) !== 0;
  return sizes.map((size, axis) => {
    const kernel = attributes.kernel[axis] as number;
    const stride = attributes.strides[axis] as number;
    const dilation = attributes.dilations[axis] as number;
    const extent = dilation * (kernel - 1) + 1;
    const [padBegin, padEnd] = padsOf(call, attributes, axis, size, extent);
    const room = size + padBegin + padEnd - extent;
    if (room < 0) throw invalid(call, `a window of ${extent} does not fit into ${size} and its padding`);
    let outputSize = Math.floor(room / stride) + 1;
    if (ceil && room % stride !== 0 && outputSize * stride < size + padBegin) outputSize++;
    return { size, kernel, stride, dilation, padBegin, padEnd, outputSize };
  });
}

function padsOf(
  call: Call,
  attributes: WindowAttributes,
  axis: number,
  size: number,
  extent: number,
): readonly [number, number] {
  const rank = attributes.kernel.length;
  switch (attributes.autoPad) {
    case "NOTSET":
      return [attributes.pads?.[axis] ?? 0, attributes.pads?.[axis + rank] ?? 0];
    case "VALID":
      return [0, 0];
    case "SAME_UPPER":
    case "SAME_LOWER": {
      const stride = attributes.strides[axis] as number;
      const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + extent - size);
      const small = Math.floor(total / 2);
      return attributes.autoPad === "SAME_UPPER" ? [small, total - small] : [total - small, small];
    }
    default:
      throw invalid(call, `auto_pad "${attributes.autoPad}"`);
  }
}

/** The three windows of a volume: what a network has fewer axes for is one element deep. */
export interface Volume {
  readonly depth: Window;
  readonly rows: Window;
  readonly columns: Window;
}

export function volumeOf(windows: readonly Window[]): Volume {
  const one: Window = {
    size: 1,
    kernel: 1,
    stride: 1,
    dilation: 1,
    padBegin: 0,
    padEnd: 0,
    outputSize: 1,
  };
  const [columns = one, rows = one, depth = one] = [...windows].reverse();
  return { depth, rows, columns };
}

/**
 * Elements of the window of `output` that lie within the image, counted along the window, and how many of all lie in the image or
 * its padding.
 */
export function elementsInside(
  { kernel, stride, dilation, padBegin, padEnd, size }: Window,
  output: number,
): { readonly inside: readonly number[]; readonly cells: number } {
  const inside: number[] = [];
  let cells = 0;
  for (let r = 0; r < kernel; r++) {
    const at = output * stride + r * dilation - padBegin;
    if (at < size + padEnd) cells++;
    if (at >= 0 && at < size) inside.push(r);
  }
  return { inside, cells };
}

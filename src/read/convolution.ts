// What all windows that slide over space have in common: data format, 'same' and 'valid' padding as
// TensorFlow has them, output sizes, and the Conv node.

import { transpose, type Tensor } from "../base/tensor.js";
import type { Attribute, Dim, Value } from "../graph/graph.js";
import { activate, type Activation } from "./activation.js";
import type { LayerConfig } from "./config.js";
import { ceilDiv, formatShape, plus } from "./dims.js";
import type { Held, Layout } from "./held.js";
import { expectRank, type LayerCall } from "./layer.js";

export type DataFormat = "channelsLast" | "channelsFirst";
export type Padding = "valid" | "same";

export function readDataFormat(config: LayerConfig): DataFormat {
  return config.choice("dataFormat", ["channelsLast", "channelsFirst"], "channelsLast");
}

export function readPadding(config: LayerConfig): Padding {
  const padding = config.choice("padding", ["valid", "same", "causal"], "valid");
  if (padding === "causal")
    return config.fail('padding "causal" is not implemented in tfjs; use "same" or "valid"');
  return padding;
}

/** How `held` is held when its channels are on axis 1, in a layer of the given format. */
export function channelLayout(format: DataFormat): Layout {
  return format === "channelsLast" ? "channels-first" : "as-is";
}

/** The input with channels on axis 1, [N, C, ...space], of the given number of spatial axes. */
export function spatialInput(held: Held, spatialRank: number, format: DataFormat, call: LayerCall): Value {
  expectRank(held, spatialRank + 2, call);
  return call.inLayout(held, channelLayout(format));
}

export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padding: Padding;
}

export interface WindowGeometry {
  /** Sizes of the output along the spatial axes. */
  readonly space: readonly Dim[];
  /** kernel_shape, strides, pads or auto_pad, dilations */
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/**
 * Output size `ceil(x / s)` for 'same', `ceil((x - k' + 1) / s)` for 'valid', with `k' = (k - 1) * d + 1`.
 * 'same' pads `p = max(0, (y - 1) * s + k' - x)`, the smaller half first. The pads are numbers where they
 * do not depend on an unknown size (stride 1, or a window of 1), else ONNX's SAME_UPPER finds the same ones.
 *
 * @throws QdgError `invalid-model` when nothing is left of the space
 */
export function slide(
  space: readonly Dim[],
  window: Window,
  call: Pick<LayerCall, "failModel">,
): WindowGeometry {
  const { kernel, strides, dilations, padding } = window;
  const rank = space.length;
  const before = Array<number>(rank).fill(0);
  const after = Array<number>(rank).fill(0);
  let unknownPads = false;
  const output = space.map((size, i) => {
    const stride = strides[i] as number;
    const extent = ((kernel[i] as number) - 1) * (dilations[i] as number) + 1;
    if (padding === "valid") return ceilDiv(plus(size, 1 - extent), stride);
    const result = ceilDiv(size, stride);
    let pad = extent - 1;
    if (typeof size === "number" && typeof result === "number") {
      pad = Math.max(0, (result - 1) * stride + extent - size);
    } else if (stride !== 1 && extent !== 1) {
      unknownPads = true;
    }
    before[i] = Math.floor(pad / 2);
    after[i] = pad - before[i];
    return result;
  });
  if (output.some((size) => typeof size === "number" && size <= 0)) {
    call.failModel(`the window ${formatShape(kernel)} does not fit the space ${formatShape(space)}`);
  }
  return {
    space: output,
    attributes: {
      kernel_shape: kernel,
      strides,
      ...(unknownPads ? { auto_pad: "SAME_UPPER" } : { pads: [...before, ...after] }),
      ...(dilations.some((dilation) => dilation !== 1) ? { dilations } : {}),
    },
  };
}

/** tfjs computes dilations only at stride 1. */
export function checkDilations(
  config: LayerConfig,
  strides: readonly number[],
  dilations: readonly number[],
): void {
  if (strides.some((s) => s !== 1) && dilations.some((d) => d !== 1)) {
    config.fail(
      `dilationRate must be 1 with strides > 1, got ${formatShape(dilations)} with ${formatShape(strides)}`,
    );
  }
}

/** A tfjs kernel [...window, C, K] as ONNX has it, [K, C, ...window]; [...window, K, C] as [C, K, ...window]. */
export function kernelFirst(kernel: Tensor<"float32">): Tensor<"float32"> {
  const rank = kernel.shape.length;
  return transpose(kernel, [rank - 1, rank - 2, ...Array.from({ length: rank - 2 }, (_, axis) => axis)]);
}

/** Adds what follows a sum of products: the activation, along tfjs's last axis, and the layout. */
export function finishSpatial(
  call: LayerCall,
  sum: (what: string) => Value,
  activation: Activation,
  format: DataFormat,
): Held {
  const value = sum(activation === "linear" ? "" : "pre_activation");
  const lastAxis = format === "channelsLast" ? 1 : value.shape.length - 1;
  return { value: activate(call, value, activation, lastAxis), layout: channelLayout(format) };
}

/** The spatial sizes of [N, C, ...space]. */
export function spaceOf(x: Value): readonly Dim[] {
  return x.shape.slice(2);
}

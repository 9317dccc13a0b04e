// Convolutions and what TensorFlow fuses into them: a bias and an activation.

import { transpose } from "../../../base/tensor.js";
import type { Attribute, Dim, Value } from "../../../graph/graph.js";
import { depthwiseKernel } from "../../layers/depthwise-conv-2d.js";
import { kernelFirst, type Padding, slide, spaceOf, type WindowGeometry } from "../../convolution.js";
import { formatShape, plus, times } from "../../dims.js";
import { type Held, permute } from "../../held.js";
import { type Emit, type OpCall, type OpFamily, filled, realConstant } from "../call.js";
import { clip, prelu } from "./functions.js";

/** Padding of the space before and after each axis. */
type Margins = readonly (readonly [before: number, after: number])[];

interface Geometry {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padding: Padding | Margins;
}

/** Channels last, as tfjs has them: batch and channels take no part in strides and dilations. */
function readGeometry(call: OpCall, spatialRank: number): Geometry {
  const { attributes } = call;
  attributes.choice("data_format", spatialRank === 3 ? ["NDHWC", "NHWC"] : ["NHWC"], "NHWC");
  attributes.choice("filter_format", ["HWIO"], "HWIO");
  const strides = spatial(call, "strides", spatialRank);
  const dilations = spatial(call, "dilations", spatialRank);
  const padding = attributes.choice("padding", ["SAME", "VALID", "EXPLICIT"], "VALID");
  const explicit = attributes.ints("explicit_paddings");
  if (padding !== "EXPLICIT") return { strides, dilations, padding: padding === "SAME" ? "same" : "valid" };
  if (explicit.length !== 2 * (spatialRank + 2) || explicit.some((size) => size < 0)) {
    call.failModel(`explicit_paddings: got ${formatShape(explicit)}, expected two for each axis`);
  }
  if ([0, 1, -2, -1].some((i) => explicit.at(i) !== 0)) call.fail("pads the batch or the channels");
  const margins = Array.from({ length: spatialRank }, (_, i): [number, number] => [
    explicit[2 * i + 2] as number,
    explicit[2 * i + 3] as number,
  ]);
  return { strides, dilations, padding: margins };
}

export function spatial(call: OpCall, name: string, spatialRank: number): number[] {
  const list = call.attributes.ints(name);
  if (list.length === 0) return Array<number>(spatialRank).fill(1);
  const inner = list.slice(1, -1);
  if (list.length !== spatialRank + 2 || inner.some((n) => n < 1) || list[0] !== 1 || list.at(-1) !== 1) {
    call.fail(
      `${name}: got ${formatShape(list)}, expected ${spatialRank + 2} numbers, 1 for batch and channels`,
    );
  }
  return inner;
}

function windowOf(
  call: OpCall,
  space: readonly Dim[],
  kernel: readonly number[],
  { strides, dilations, padding }: Geometry,
): WindowGeometry {
  if (typeof padding === "string") return slide(space, { kernel, strides, dilations, padding }, call);
  const grown = space.map((size, i) => {
    const [before, after] = padding[i] as readonly [number, number];
    return plus(size, before + after);
  });
  const window = slide(grown, { kernel, strides, dilations, padding: "valid" }, call);
  const pads = [...padding.map(([before]) => before), ...padding.map(([, after]) => after)];
  return { space: window.space, attributes: { ...window.attributes, pads } };
}

/** What is fused after the sum, by TensorFlow's names. */
interface Fused {
  /** Index of the input; null without a bias. */
  readonly bias: number | null;
  readonly activation: string;
  readonly leakyAlpha: number;
}

export function readFused(call: OpCall): Fused {
  const ops = call.attributes.texts("fused_ops").map((op) => op.toLowerCase());
  call.attributes.ignore("epsilon");
  const leakyAlpha = call.attributes.number("leakyrelu_alpha", 0.2);
  const [first = "", second = "linear", ...rest] = ops;
  if (ops.length === 0) return { bias: null, activation: "linear", leakyAlpha };
  if (first !== "biasadd" || rest.length > 0 || !Object.hasOwn(ACTIVATIONS, second)) {
    call.fail(
      `fused_ops: got ${ops.join(", ")}, expected BiasAdd and one of ${Object.keys(ACTIVATIONS).join(", ")}`,
    );
  }
  return { bias: 2, activation: second, leakyAlpha };
}

type Activation = (held: Held, call: OpCall, fused: Fused) => Value;

function activation(op: string, attributes: Readonly<Record<string, Attribute>> = {}): Activation {
  return ({ value }, call) => call.node(op, [value], "", value.shape, attributes);
}

const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  linear: ({ value }) => value,
  relu: activation("Relu"),
  relu6: ({ value }, call) => clip(value, call, 0, 6),
  elu: activation("Elu", { alpha: { float: 1 } }),
  sigmoid: activation("Sigmoid"),
  leakyrelu: ({ value }, call, { leakyAlpha }) =>
    call.node("LeakyRelu", [value], "", value.shape, { alpha: { float: leakyAlpha } }),
  prelu: (held, call) => prelu(held, 3, call),
};

/**
 * `activation(sum + bias)`.
 *
 * @param channels of the sum
 * @param sum adds the node of the sum, with the bias that it can take
 */
export function finishFused(
  call: OpCall,
  fused: Fused,
  layout: Held["layout"],
  channels: Dim,
  sum: (what: string, bias: Value | null) => Value,
): Held {
  const what = fused.activation === "linear" ? "" : "pre_activation";
  const bias = fused.bias === null ? null : biasOf(call, fused.bias, channels);
  const value = sum(what, bias);
  const activate = ACTIVATIONS[fused.activation] as Activation;
  return { value: activate({ value, layout }, call, fused), layout };
}

/** A constant of one number for each channel: as it is, or with axes of size 1 before it, or the same for all. */
function biasOf(call: OpCall, index: number, channels: Dim): Value {
  const { value } = call.input(index).held;
  const { constant } = value;
  if (constant?.dtype !== "float32" || typeof channels !== "number") {
    return call.fail("bias: got no constant of real numbers; qdg needs one");
  }
  if (constant.shape.length === 1 && constant.data.length === channels) return value;
  if (constant.data.length === 1) {
    return call.constant("bias", filled(channels, Number(constant.data[0])));
  }
  if (constant.data.length !== channels || constant.shape.at(-1) !== channels) {
    call.failModel(
      `bias: got shape ${formatShape(constant.shape)}, expected [${channels}], one for each channel`,
    );
  }
  return call.constant("bias", { ...constant, shape: [channels] });
}

/** `y[n, k, p] = sum over c, r of filter[r, c, k] * x[n, c, p * stride + r * dilation - pad]` */
function conv(spatialRank: number): Emit {
  return (call) => {
    const x = call.channelsFirst(call.ranked(0, spatialRank + 2).held);
    const filter = call.shapeOf(1);
    if (filter.length !== spatialRank + 2)
      call.failModel(`filter: got shape ${formatShape(filter)}, expected ${spatialRank + 2} axes`);
    const [channels, filters] = filter.slice(-2) as [Dim, Dim];
    if (x.shape[1] !== channels) {
      call.failModel(
        `filter: got shape ${formatShape(filter)}, expected ${x.shape[1]}, the channels of the input, before the last`,
      );
    }
    const kernel = fixed(call, filter.slice(0, -2));
    const { space, attributes } = windowOf(call, spaceOf(x), kernel, readGeometry(call, spatialRank));
    const fused = readFused(call);
    const shape = [x.shape[0] as Dim, filters, ...space];
    const weight = filterFirst(call, spatialRank);
    const held = finishFused(call, fused, "channels-first", filters, (what, bias) =>
      call.node("Conv", bias ? [x, weight, bias] : [x, weight], what, shape, attributes),
    );
    return call.result(held.value, held.layout);
  };
}

/** The filter as ONNX has it, [K, C, ...window]: a weight, or what the model computes. */
function filterFirst(call: OpCall, spatialRank: number): Value {
  const { held } = call.input(1);
  if (held.value.constant) return call.constant("kernel", kernelFirst(realConstant(call, 1, "filter")));
  const filter = call.asIs(held);
  const axes = Array.from({ length: spatialRank }, (_, axis) => axis);
  const perm = [spatialRank + 1, spatialRank, ...axes];
  return call.node("Transpose", [filter], "kernel", permute(filter.shape, perm), { perm });
}

function fixed(call: OpCall, sizes: readonly Dim[]): number[] {
  const open = sizes.find((size) => typeof size === "string");
  return open === undefined ? (sizes as number[]) : call.fail(`filter: has the unknown size ${open}`);
}

/** A filter for each channel: `y[n, c * M + m] = x[n, c] correlated with filter[:, :, c, m]` */
const depthwise: Emit = (call) => {
  const x = call.channelsFirst(call.ranked(0, 4).held);
  const filter = realConstant(call, 1, "filter");
  const [r, s, channels, multiplier] = filter.shape as [number, number, number, number];
  if (filter.shape.length !== 4 || x.shape[1] !== channels) {
    call.failModel(
      `filter: got shape ${formatShape(filter.shape)}, expected four axes with ${x.shape[1]}, the channels of the input, before the last`,
    );
  }
  const { space, attributes } = windowOf(call, spaceOf(x), [r, s], readGeometry(call, 2));
  const fused = readFused(call);
  if (fused.activation === "leakyrelu") call.fail("fused_ops: tfjs gives no numbers for LeakyRelu here");
  const shape = [x.shape[0] as Dim, channels * multiplier, ...space];
  const weight = call.constant("kernel", depthwiseKernel(filter));
  const held = finishFused(call, fused, "channels-first", channels * multiplier, (what, bias) =>
    call.node("Conv", bias ? [x, weight, bias] : [x, weight], what, shape, {
      ...attributes,
      group: channels,
    }),
  );
  return call.result(held.value, held.layout);
};

/**
 * The gradient of a convolution to its input, whose shape the model states: of the sizes that the convolution would bring
 * to the size of x, that one. ONNX has `(x - 1) * s + (k - 1) * d + 1 - pads + output_padding`.
 */
const convTranspose: Emit = (call) => {
  const x = call.channelsFirst(call.ranked(2, 4).held);
  const asked = call.numbers(0, "input_sizes");
  const filter = realConstant(call, 1, "filter");
  const [r, s, filters, channels] = filter.shape as [number, number, number, number];
  if (filter.shape.length !== 4 || x.shape[1] !== channels || asked.length !== 4) {
    call.failModel(
      `got a filter ${formatShape(filter.shape)} and sizes ${formatShape(asked)} for ${x.shape[1]} channels`,
    );
  }
  const { strides, dilations, padding } = readGeometry(call, 2);
  if (dilations.some((rate) => rate !== 1))
    call.fail("dilations: tfjs has no dilated transposed convolution");
  const axes = spaceOf(x).map((size, i) => {
    const [k, stride, want] = [[r, s][i] as number, strides[i] as number, asked[i + 1] as Dim];
    const margins = typeof padding === "string" ? null : (padding[i] ?? null);
    return transposedAxis(call, size, want, k, stride, margins, padding === "same");
  });
  const output = axes.map(({ extra }) => extra);
  const attributes = {
    kernel_shape: [r, s],
    strides,
    pads: [...axes.map(({ before }) => before), ...axes.map(({ after }) => after)],
    ...(output.some((extra) => extra > 0) ? { output_padding: output } : {}),
  };
  const shape = [x.shape[0] as Dim, filters, asked[1] as Dim, asked[2] as Dim];
  const weight = call.constant("kernel", transpose(filter, [3, 2, 0, 1]));
  return call.result(call.node("ConvTranspose", [x, weight], "", shape, attributes), "channels-first");
};

function transposedAxis(
  call: OpCall,
  size: Dim,
  want: Dim,
  k: number,
  stride: number,
  margins: readonly [number, number] | null,
  same: boolean,
): { readonly before: number; readonly after: number; readonly extra: number } {
  let reach: number;
  if (typeof size === "number" && typeof want === "number") {
    reach = (size - 1) * stride + k - want;
  } else if (want === times(size, stride)) {
    reach = k - stride;
  } else {
    return call.fail(
      `input_sizes: got ${want} for the size ${size} at stride ${stride}; give the model's input a fixed size`,
    );
  }
  const cut = margins ? margins[0] + margins[1] : same ? Math.max(reach, 0) : 0;
  const before = margins ? margins[0] : Math.floor(cut / 2);
  const extra = cut - reach;
  if (extra < 0 || extra >= Math.max(stride, 2)) {
    call.failModel(`input_sizes: got ${want}, which no convolution brings to ${size} at stride ${stride}`);
  }
  return { before, after: cut - before, extra };
}

export const CONVOLUTION_OPS: OpFamily = {
  Conv2D: conv(2),
  _FusedConv2D: conv(2),
  Conv3D: conv(3),
  DepthwiseConv2d: depthwise,
  DepthwiseConv2dNative: depthwise,
  FusedDepthwiseConv2dNative: depthwise,
  Conv2DBackpropInput: convTranspose,
};

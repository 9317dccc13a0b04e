// Geometry of a 2D window (convolution or pooling) for the gradients: how many elements of padding stand around
// the input, and moves along one axis. Knows no tensor but those it pads or crops.

import * as tf from "@tensorflow/tfjs";

/** One axis of a window: `output o reads inputs o * stride + tap * dilation - before`. */
export interface WindowAxis {
  readonly input: number;
  readonly output: number;
  readonly taps: number;
  readonly stride: number;
  readonly dilation: number;
  /** Padding before the first element. */
  readonly before: number;
}

export interface Window {
  readonly rows: WindowAxis;
  readonly columns: WindowAxis;
}

/** What tfjs computes of a window; both of its records fit. */
interface Geometry {
  readonly inHeight: number;
  readonly inWidth: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly filterHeight: number;
  readonly filterWidth: number;
  readonly strideHeight: number;
  readonly strideWidth: number;
  readonly dilationHeight: number;
  readonly dilationWidth: number;
  readonly dataFormat: "channelsFirst" | "channelsLast";
  readonly padInfo: { readonly top: number; readonly left: number };
}

type Pair = number | [number, number];
type Padding = "valid" | "same" | number | tf.backend_util.ExplicitPadding;
type Rounding = "floor" | "round" | "ceil";
type Shape4D = [number, number, number, number];

/** Of a convolution, from the attributes of its kernel. dilations: 1 where the kernel has none. */
export function convolutionWindow(
  inputShape: readonly number[],
  filterShape: readonly number[],
  attrs: Readonly<Record<string, unknown>>,
  depthwise: boolean,
): Window {
  const format = (attrs["dataFormat"] ?? "NHWC") as "NHWC" | "NCHW";
  return windowOf(
    tf.backend_util.computeConv2DInfo(
      inputShape as Shape4D,
      filterShape as Shape4D,
      attrs["strides"] as Pair,
      (attrs["dilations"] ?? 1) as Pair,
      attrs["pad"] as Padding,
      attrs["dimRoundingMode"] as Rounding | undefined,
      depthwise,
      format === "NHWC" ? "channelsLast" : "channelsFirst",
    ),
  );
}

/** Of a pooling, from the attributes of its kernel. */
export function poolingWindow(
  inputShape: readonly number[],
  attrs: Readonly<Record<string, unknown>>,
): Window {
  return windowOf(
    tf.backend_util.computePool2DInfo(
      inputShape as Shape4D,
      attrs["filterSize"] as Pair,
      attrs["strides"] as Pair,
      1,
      attrs["pad"] as Padding,
      attrs["dimRoundingMode"] as Rounding | undefined,
    ),
  );
}

function windowOf(geometry: Geometry): Window {
  if (geometry.dataFormat !== "channelsLast") {
    throw new Error("the WebAssembly backend computes channels-last (NHWC) only");
  }
  return {
    rows: {
      input: geometry.inHeight,
      output: geometry.outHeight,
      taps: geometry.filterHeight,
      stride: geometry.strideHeight,
      dilation: geometry.dilationHeight,
      before: geometry.padInfo.top,
    },
    columns: {
      input: geometry.inWidth,
      output: geometry.outWidth,
      taps: geometry.filterWidth,
      stride: geometry.strideWidth,
      dilation: geometry.dilationWidth,
      before: geometry.padInfo.left,
    },
  };
}

/**
 * The same products in as few rows as there are: where one tap reads all of x as it lies, all pixels of the batch
 * are one column of a single image.
 */
export function flattened(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  window: Window,
): { readonly x: tf.Tensor4D; readonly dy: tf.Tensor4D; readonly window: Window } {
  const axes = [window.rows, window.columns];
  const pointwise = axes.every(
    ({ input, output, taps, before }) => taps === 1 && input === output && before === 0,
  );
  if (!pointwise) return { x, dy, window };
  const [n, h, w, c] = x.shape;
  const pixels = n * h * w;
  return {
    x: tf.reshape(x, [1, pixels, 1, c]),
    dy: tf.reshape(dy, [1, pixels, 1, dy.shape[3]]),
    window: {
      rows: { input: pixels, output: pixels, taps: 1, stride: 1, dilation: 1, before: 0 },
      columns: { input: 1, output: 1, taps: 1, stride: 1, dilation: 1, before: 0 },
    },
  };
}

/** Elements to put before and after an axis; negative: to take away. */
export interface Margin {
  readonly before: number;
  readonly after: number;
}

/** The padding that tfjs's convolutions take. */
export type ExplicitPads = tf.backend_util.ExplicitPadding;

/** x [N, H, W, C] without what negative margins take away, and the padding for the rest. */
export function crop(x: tf.Tensor4D, rows: Margin, columns: Margin): { x: tf.Tensor4D; pads: ExplicitPads } {
  const positive = ({ before, after }: Margin): [number, number] => [Math.max(0, before), Math.max(0, after)];
  const pads: ExplicitPads = [[0, 0], positive(rows), positive(columns), [0, 0]];
  const margins = [rows, columns];
  if (margins.every(({ before, after }) => before >= 0 && after >= 0)) return { x, pads };
  const [n, , , c] = x.shape;
  const begins = margins.map(({ before }) => Math.max(0, -before));
  const sizes = margins.map(({ after }, i) => {
    return (x.shape[i + 1] as number) - (begins[i] as number) - Math.max(0, -after);
  });
  return {
    x: tf.slice(
      x,
      [0, begins[0] as number, begins[1] as number, 0],
      [n, sizes[0] as number, sizes[1] as number, c],
    ),
    pads,
  };
}

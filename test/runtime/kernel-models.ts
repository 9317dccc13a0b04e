// Random models of the patterns that lowering writes: what kernel-cases.ts lists with their options.

import { sizeOf, tensor } from "../../src/base/tensor.js";
import type { Attribute, Value } from "../../src/graph/graph.js";
import { pairLimit } from "../../src/quant/paired-weights.js";
import type { Model, Random } from "./sketch.js";
import { Sketch } from "./sketch.js";

export interface ConvOptions {
  readonly activationBits?: number;
  readonly weightBits?: number;
  readonly group?: "one" | "some" | "depthwise";
  readonly axes?: 1 | 2;
  readonly unsignedWeights?: boolean;
  readonly negativeScales?: boolean;
  readonly relu?: boolean;
  readonly reluZeroPoint?: number;
  readonly dilated?: boolean;
  readonly bias?: boolean;
  readonly quantized?: boolean;
  readonly zeroX?: number;
}

/**
 * Weights as integers with one scale an output channel, dequantized along axis 0. Signed ones are small enough for processors
 * that add two products in 16 bits (those without VNNI): that rule is for exporting to keep, and would hide the formulas here.
 */
function weightsOf(
  sketch: Sketch,
  random: Random,
  shape: readonly number[],
  axis: number,
  options: ConvOptions,
): { readonly value: Value; readonly scales: readonly number[] } {
  const half = 2 ** ((options.weightBits ?? 8) - 1);
  const largestInput = 2 ** (options.activationBits ?? 8) - 1;
  const most = options.unsignedWeights ? half : Math.min(half, Math.floor(pairLimit(largestInput) / 2));
  const integers = Int8Array.from({ length: sizeOf(shape) }, () =>
    random.integer(-most, Math.min(most, half - 1)),
  );
  const K = shape[axis] as number;
  const scales = Array.from(
    { length: K },
    () => random.scale() * (options.negativeScales && random.next() < 0.4 ? -1 : 1),
  );
  const stored = options.unsignedWeights
    ? tensor(
        "uint8",
        shape,
        Uint8Array.from(integers, (q) => q + 128),
      )
    : tensor("int8", shape, integers);
  const zeros = options.unsignedWeights
    ? tensor("uint8", [K], new Uint8Array(K).fill(128))
    : tensor("int8", [K], new Int8Array(K));
  const inputs = [sketch.constant("w", stored), sketch.reals("s_w", scales), sketch.constant("z_w", zeros)];
  return { value: sketch.node("DequantizeLinear", inputs, { axis }), scales };
}

function biasOf(sketch: Sketch, random: Random, scaleX: number, scales: readonly number[]): Value {
  const integers = Int32Array.from(scales, () => random.integer(-3000, 3000));
  const bias = sketch.constant("b", tensor("int32", [scales.length], integers));
  const scale = sketch.reals(
    "s_b",
    scales.map((scaleW) => Math.fround(Math.fround(scaleW) * scaleX)),
  );
  return sketch.node("DequantizeLinear", [bias, scale], { axis: 0 });
}

/** A scale for which sums of `count` products fill about the range of the result. */
function resultScale(random: Random, scaleX: number, options: ConvOptions, count: number): number {
  const spread = 2 ** (options.activationBits ?? 8) * 2 ** ((options.weightBits ?? 8) - 1);
  const typical = 0.3 * spread * Math.sqrt(count) * scaleX * 0.05;
  return Math.fround((typical / 100) * (0.5 + random.next()));
}

export function conv(options: ConvOptions): (random: Random) => Model {
  return (random) => {
    const sketch = new Sketch();
    const axes = options.axes ?? 2;
    const group =
      options.group === "depthwise"
        ? random.integer(2, 17)
        : options.group === "some"
          ? random.integer(2, 4)
          : 1;
    const C = options.group === "depthwise" ? group : group * random.integer(1, 6);
    const K = group * random.integer(1, options.group === "depthwise" ? 2 : 6);
    const dilation = options.dilated ? random.integer(2, 3) : 1;
    const stride = options.dilated ? 1 : random.integer(1, 2);
    const kernel = Array.from({ length: axes }, () => random.integer(1, options.dilated ? 3 : 5));
    const size = kernel.map(() => random.integer(9, 15));
    const begin = kernel.map((extent) => random.integer(0, extent - 1));
    const end = kernel.map((extent) => random.integer(0, extent - 1));
    const output = size.map((dim, axis) => {
      const extent = dilation * ((kernel[axis] as number) - 1) + 1;
      return Math.floor((dim + (begin[axis] as number) + (end[axis] as number) - extent) / stride) + 1;
    });
    const scaleX = random.scale();
    const high = 2 ** (options.activationBits ?? 8) - 1;
    const x = sketch.input("x", random.bytes([1, C, ...size], high));
    const real = sketch.dequantize(x, scaleX, options.zeroX ?? random.integer(0, high));
    const weights = weightsOf(sketch, random, [K, C / group, ...kernel], 0, options);
    const inputs = [real, weights.value];
    if (options.bias !== false) inputs.push(biasOf(sketch, random, scaleX, weights.scales));
    let y = sketch.node("Conv", inputs, {
      group,
      kernel_shape: kernel,
      pads: [...begin, ...end],
      strides: kernel.map(() => stride),
      dilations: kernel.map(() => dilation),
    });
    if (options.relu) y = sketch.node("Relu", [y]);
    const scale = resultScale(random, scaleX, options, (C / group) * sizeOf(kernel));
    const zeroPoint = options.relu ? (options.reluZeroPoint ?? 0) : random.integer(0, 255);
    return sketch.model(y, [1, K, ...output], options.quantized === false ? null : { scale, zeroPoint });
  };
}

export interface ProductOptions extends ConvOptions {
  readonly op: "Gemm" | "MatMul";
  readonly transB?: 0 | 1;
}

export function product(options: ProductOptions): (random: Random) => Model {
  return (random) => {
    const sketch = new Sketch();
    const [M, C, K] = [random.integer(1, 5), random.integer(1, 200), random.integer(1, 40)];
    const scaleX = random.scale();
    const high = 2 ** (options.activationBits ?? 8) - 1;
    const real = sketch.dequantize(
      sketch.input("x", random.bytes([M, C], high)),
      scaleX,
      random.integer(0, high),
    );
    const transposed = options.transB === 1;
    const weights = weightsOf(sketch, random, transposed ? [K, C] : [C, K], transposed ? 0 : 1, options);
    const inputs = [real, weights.value];
    if (options.bias) inputs.push(biasOf(sketch, random, scaleX, weights.scales));
    const attributes: Record<string, Attribute> =
      options.op === "Gemm" ? { transB: options.transB ?? 0 } : {};
    const y = sketch.node(options.op, inputs, attributes);
    const scale = resultScale(random, scaleX, options, C);
    return sketch.model(
      y,
      [M, K],
      options.quantized === false ? null : { scale, zeroPoint: random.integer(0, 255) },
    );
  };
}

/** Two dequantized operands of one scale (but their own zero points) -> op -> quantized. */
export function pair(op: string, bits: number, sameResult: boolean): (random: Random) => Model {
  return (random) => {
    const sketch = new Sketch();
    const high = 2 ** bits - 1;
    const shape = [1, 4, 16, 16];
    const scale = random.scale();
    const zeroPoint = random.integer(0, high);
    const other = sameResult || op === "Max" ? zeroPoint : random.integer(0, high);
    const a = sketch.dequantize(sketch.input("a", random.bytes(shape, high)), scale, zeroPoint);
    const b = sketch.dequantize(sketch.input("b", random.bytes(shape, high)), scale, other);
    const scaleY =
      op === "Mul"
        ? Math.fround(scale * scale * 2 ** bits * (0.3 + random.next()))
        : scale * (0.4 + random.next());
    return sketch.model(
      sketch.node(op, [a, b]),
      shape,
      sameResult ? { scale, zeroPoint } : { scale: Math.fround(scaleY), zeroPoint: random.integer(0, 255) },
    );
  };
}

/** One dequantized operand -> op -> quantized, the result on its own scale or on the operand's. */
export function single(
  op: string,
  attributes: Readonly<Record<string, Attribute>>,
  result: "own" | "same" | "half",
  shapeAfter: (shape: readonly number[]) => readonly number[] = (shape) => shape,
  more: (sketch: Sketch, random: Random) => readonly Value[] = () => [],
): (random: Random) => Model {
  return (random) => {
    const sketch = new Sketch();
    const bits = random.pick([3, 4, 8]);
    const high = 2 ** bits - 1;
    const shape = [1, 8, random.integer(8, 13), random.integer(8, 13)];
    const scale = random.scale();
    const zeroPoint = random.integer(0, high);
    const x = sketch.dequantize(sketch.input("x", random.bytes(shape, high)), scale, zeroPoint);
    const y = sketch.node(op, [x, ...more(sketch, random)], attributes);
    const own = { scale: Math.fround(scale * (0.4 + random.next())), zeroPoint: random.integer(0, 255) };
    const to = { own, same: { scale, zeroPoint }, half: { scale: scale / 2, zeroPoint } }[result];
    return sketch.model(y, shapeAfter(shape), to);
  };
}

/** The shape after a pool over two axes. */
export function pooled(
  kernel: number,
  stride: number,
  [top = 0, left = 0, bottom = 0, right = 0]: readonly number[],
): (shape: readonly number[]) => number[] {
  return ([N = 0, C = 0, H = 0, W = 0]) => [
    N,
    C,
    Math.floor((H + top + bottom - kernel) / stride) + 1,
    Math.floor((W + left + right - kernel) / stride) + 1,
  ];
}

/** An operator on the bytes themselves. */
export function onBytes(
  op: string,
  attributes: Readonly<Record<string, Attribute>>,
  shapeAfter: (shape: readonly number[]) => readonly number[],
  more: (sketch: Sketch) => readonly (Value | null)[] = () => [],
): (random: Random) => Model {
  return (random) => {
    const sketch = new Sketch();
    const shape = [1, 3, random.integer(6, 9), random.integer(6, 9)];
    const x = sketch.input("x", random.bytes(shape));
    const y = sketch.node(op, [x, ...more(sketch)], attributes, "uint8");
    return sketch.model(y, shapeAfter(shape), null);
  };
}

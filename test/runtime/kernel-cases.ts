// The patterns that lowering writes, each as a small random model. What kernels.test.ts runs on every runtime.

import type { DType, Tensor } from "../../src/base/tensor.js";
import { float32, int64, sizeOf, tensor } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Attribute, Graph, Value } from "../../src/graph/graph.js";

/** A linear congruential generator: the same models in every run. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
    for (let i = 0; i < 8; i++) this.next();
  }

  /** A real number in [0, 1). */
  next(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return this.#state / 2 ** 32;
  }

  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.integer(0, items.length - 1)] as T;
  }

  scale(): number {
    return Math.fround(0.001 + this.next() * 0.1);
  }

  bytes(shape: readonly number[], high = 255): Tensor<"uint8"> {
    return tensor(
      "uint8",
      shape,
      Uint8Array.from({ length: sizeOf(shape) }, () => this.integer(0, high)),
    );
  }
}

export interface Model {
  readonly graph: Graph;
  readonly feeds: Readonly<Record<string, Tensor>>;
}

export interface KernelCase {
  readonly title: string;
  /** Operators that ONNX Runtime on the CPU must have made of it. */
  readonly fused: readonly string[];
  /** What a run without optimization gives: the same, other ties (by one step), or floats 1e-5 apart. */
  readonly unfused: "equal" | "ties" | "close";
  readonly make: (random: Random) => Model;
}

/** Builds one model: nodes in one line each. */
export class Sketch {
  readonly builder: GraphBuilder = new GraphBuilder("case");
  readonly feeds: Record<string, Tensor> = {};

  input(name: string, data: Tensor): Value {
    this.feeds[name] = data;
    return this.builder.input(name, data.shape, data.dtype);
  }

  real(name: string, value: number): Value {
    return this.builder.constant(name, float32([], [value]));
  }

  reals(name: string, values: readonly number[]): Value {
    return this.builder.constant(name, float32([values.length], values));
  }

  byte(name: string, value: number): Value {
    return this.builder.constant(name, tensor("uint8", [], Uint8Array.of(value)));
  }

  constant(name: string, data: Tensor): Value {
    return this.builder.constant(name, data);
  }

  node(
    op: string,
    inputs: readonly (Value | null)[],
    attributes: Readonly<Record<string, Attribute>> = {},
    dtype: DType = "float32",
    shape: readonly number[] = [],
  ): Value {
    const name = `${op}${this.builder.graph.nodes.length}`;
    return this.builder.node(op, name, inputs, { name, shape, dtype }, attributes);
  }

  dequantize(q: Value, scale: number, zeroPoint: number): Value {
    const n = this.builder.graph.nodes.length;
    return this.node("DequantizeLinear", [q, this.real(`s${n}`, scale), this.byte(`z${n}`, zeroPoint)]);
  }

  /** The model whose output is `value` quantized, or `value` itself. */
  model(
    value: Value,
    shape: readonly number[],
    to: { scale: number; zeroPoint: number; clip?: [number, number] } | null,
  ): Model {
    let output = value;
    if (to) {
      const inputs = [output, this.real("s_y", to.scale), this.byte("z_y", to.zeroPoint)];
      output = this.node("QuantizeLinear", inputs, {}, "uint8", shape);
      if (to.clip) {
        const bounds = [this.byte("low", to.clip[0]), this.byte("high", to.clip[1])];
        output = this.node("Clip", [output, ...bounds], {}, "uint8", shape);
      }
    }
    output.shape = shape;
    this.builder.output(output);
    return { graph: this.builder.graph, feeds: this.feeds };
  }
}

interface ConvOptions {
  readonly activationBits?: number;
  readonly weightBits?: number;
  readonly group?: "one" | "some" | "depthwise";
  readonly axes?: 1 | 2;
  readonly unsignedWeights?: boolean;
  readonly negativeScales?: boolean;
  readonly relu?: boolean;
  readonly dilated?: boolean;
  readonly bias?: boolean;
  readonly quantized?: boolean;
  readonly zeroX?: number;
}

/** Weights as integers with one scale an output channel, dequantized along axis 0. */
function weightsOf(
  sketch: Sketch,
  random: Random,
  shape: readonly number[],
  axis: number,
  options: ConvOptions,
): { readonly value: Value; readonly scales: readonly number[] } {
  const half = 2 ** ((options.weightBits ?? 8) - 1);
  const integers = Int8Array.from({ length: sizeOf(shape) }, () => random.integer(-half, half - 1));
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

function conv(options: ConvOptions): (random: Random) => Model {
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
    const zeroPoint = options.relu ? 0 : random.integer(0, 255);
    return sketch.model(y, [1, K, ...output], options.quantized === false ? null : { scale, zeroPoint });
  };
}

interface ProductOptions extends ConvOptions {
  readonly op: "Gemm" | "MatMul";
  readonly transB?: 0 | 1;
}

function product(options: ProductOptions): (random: Random) => Model {
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
function pair(op: string, bits: number, sameResult: boolean): (random: Random) => Model {
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
function single(
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

function pooled(
  kernel: number,
  stride: number,
  pads: readonly number[],
): (shape: readonly number[]) => number[] {
  return ([N = 0, C = 0, H = 0, W = 0]) => {
    const size = (dim: number, pad: number): number => Math.floor((dim + pad - kernel) / stride) + 1;
    return [
      N,
      C,
      size(H, (pads[0] as number) + (pads[2] as number)),
      size(W, (pads[1] as number) + (pads[3] as number)),
    ];
  };
}

/** An operator on the bytes themselves. */
function onBytes(
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

const global = (shape: readonly number[]): number[] => shape.map((dim, axis) => (axis < 2 ? dim : 1));
const POOL = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 0, 1, 2] };
const WHOLE_POOL = { kernel_shape: [2, 2], strides: [2, 2] };

export const KERNEL_CASES: readonly KernelCase[] = [
  {
    title: "Conv of int8 weights",
    fused: ["QLinearConv"],
    unfused: "ties",
    make: conv({}),
  },
  {
    title: "Conv of uint8 weights at zero point 128, negative channel scales",
    fused: ["QLinearConv"],
    unfused: "ties",
    make: conv({ unsignedWeights: true, negativeScales: true }),
  },
  {
    title: "Conv of 3-bit weights and activations, Relu, no bias",
    fused: ["QLinearConv"],
    unfused: "ties",
    make: conv({ activationBits: 3, weightBits: 3, relu: true, zeroX: 0, bias: false }),
  },
  {
    title: "Conv in groups",
    fused: ["QLinearConv"],
    unfused: "ties",
    make: conv({ group: "some", negativeScales: true }),
  },
  {
    title: "depthwise Conv of uint8 weights, negative channel scales",
    fused: ["QLinearConv"],
    unfused: "ties",
    make: conv({ group: "depthwise", unsignedWeights: true, negativeScales: true }),
  },
  {
    title: "depthwise Conv of 4-bit weights",
    fused: ["QLinearConv"],
    unfused: "ties",
    make: conv({ group: "depthwise", activationBits: 4, weightBits: 4 }),
  },
  {
    title: "Conv along one axis",
    fused: ["QLinearConv"],
    unfused: "ties",
    make: conv({ axes: 1, negativeScales: true }),
  },
  {
    title: "dilated Conv",
    fused: ["QLinearConv"],
    unfused: "ties",
    make: conv({ dilated: true }),
  },
  {
    title: "Conv to float",
    fused: ["Conv"],
    unfused: "close",
    make: conv({ quantized: false }),
  },
  {
    title: "Gemm (transB 1) of uint8 weights, one scale a channel",
    fused: ["QGemm"],
    unfused: "ties",
    make: product({ op: "Gemm", transB: 1, unsignedWeights: true, negativeScales: true, bias: true }),
  },
  {
    title: "Gemm (transB 0) of 3-bit weights",
    fused: ["QGemm"],
    unfused: "ties",
    make: product({ op: "Gemm", transB: 0, activationBits: 3, weightBits: 3 }),
  },
  {
    title: "Gemm to float",
    fused: ["QGemm"],
    unfused: "close",
    make: product({ op: "Gemm", transB: 1, unsignedWeights: true, bias: true, quantized: false }),
  },
  {
    title: "MatMul",
    fused: ["QLinearMatMul"],
    unfused: "ties",
    make: product({ op: "MatMul" }),
  },
  {
    title: "MatMul to float",
    fused: ["MatMulIntegerToFloat"],
    unfused: "close",
    make: product({ op: "MatMul", unsignedWeights: true, quantized: false }),
  },
  ...[8, 4, 3].flatMap((bits): KernelCase[] => [
    {
      title: `Add on one scale, ${bits} bits`,
      fused: ["QLinearAdd"],
      unfused: "ties",
      make: pair("Add", bits, false),
    },
    {
      title: `Add whose result keeps the scale, ${bits} bits`,
      fused: ["QLinearAdd"],
      unfused: "equal",
      make: pair("Add", bits, true),
    },
    { title: `Mul, ${bits} bits`, fused: ["QLinearMul"], unfused: "ties", make: pair("Mul", bits, false) },
  ]),
  {
    title: "Max on one scale",
    fused: ["Max"],
    unfused: "equal",
    make: pair("Max", 8, true),
  },
  ...(["own", "same", "half"] as const).flatMap((result): KernelCase[] => [
    {
      title: `GlobalAveragePool to its ${result} scale`,
      fused: ["QLinearGlobalAveragePool"],
      unfused: "ties",
      make: single("GlobalAveragePool", {}, result, global),
    },
    {
      title: `AveragePool of whole windows to its ${result} scale`,
      fused: ["QLinearAveragePool"],
      unfused: "ties",
      make: single("AveragePool", WHOLE_POOL, result, pooled(2, 2, [0, 0, 0, 0])),
    },
    {
      title: `AveragePool that leaves padding out, to its ${result} scale`,
      fused: ["QLinearAveragePool"],
      unfused: "ties",
      make: single("AveragePool", POOL, result, pooled(3, 2, POOL.pads)),
    },
    {
      title: `AveragePool that counts padding, to its ${result} scale`,
      fused: ["QLinearAveragePool"],
      unfused: "ties",
      make: single("AveragePool", { ...POOL, count_include_pad: 1 }, result, pooled(3, 2, POOL.pads)),
    },
    {
      title: `LeakyRelu to its ${result} scale`,
      fused: ["QLinearLeakyRelu"],
      unfused: "equal",
      make: single("LeakyRelu", { alpha: { float: 0.3 } }, result),
    },
    {
      title: `PRelu to its ${result} scale`,
      fused: ["PRelu"],
      unfused: "equal",
      make: single("PRelu", {}, result, undefined, (sketch, random) => [
        sketch.constant(
          "slope",
          float32(
            [8, 1, 1],
            Array.from({ length: 8 }, () => random.next() - 0.5),
          ),
        ),
      ]),
    },
  ]),
  {
    title: "Pad on bytes",
    fused: ["Pad"],
    unfused: "equal",
    make: onBytes(
      "Pad",
      {},
      ([N = 0, C = 0, H = 0, W = 0]) => [N, C, H + 3, W + 3],
      (sketch) => [sketch.constant("pads", int64([8], [0, 0, 1, 2, 0, 0, 2, 1])), sketch.byte("value", 77)],
    ),
  },
  {
    title: "MaxPool with padding on bytes",
    fused: ["MaxPool"],
    unfused: "equal",
    make: onBytes("MaxPool", POOL, pooled(3, 2, POOL.pads)),
  },
  {
    title: "Resize (nearest) on bytes",
    fused: ["Resize"],
    unfused: "equal",
    make: onBytes(
      "Resize",
      { mode: "nearest", nearest_mode: "floor", coordinate_transformation_mode: "asymmetric" },
      ([N = 0, C = 0, H = 0, W = 0]) => [N, C, 2 * H, 3 * W],
      (sketch) => [null, sketch.reals("scales", [1, 1, 2, 3])],
    ),
  },
  {
    title: "a table of 256 bytes (Cast, Gather)",
    fused: ["Gather"],
    unfused: "equal",
    make: (random) => {
      const sketch = new Sketch();
      const table = sketch.constant("table", random.bytes([256]));
      const index = sketch.node("Cast", [sketch.input("x", random.bytes([500]))], { to: 6 }, "int32");
      return sketch.model(sketch.node("Gather", [table, index], { axis: 0 }, "uint8"), [500], null);
    },
  },
  {
    title: "a float Conv of integers that must stay exact (Clip, Mul, QuantizeLinear at scale 1)",
    fused: ["Conv", "QuantizeLinear"],
    unfused: "equal",
    make: (random) => {
      const sketch = new Sketch();
      const [C, K] = [random.integer(1, 20), random.integer(1, 20)];
      const whole = (shape: readonly number[], bound: number, low = -bound): Tensor =>
        float32(
          shape,
          Float32Array.from({ length: sizeOf(shape) }, () => random.integer(low, bound)),
        );
      const x = sketch.input("x", whole([1, C, 8, 8], 255, 0));
      const w = sketch.constant("w", whole([K, C, 3, 3], 127));
      const b = sketch.constant("b", whole([K], 2000));
      const sums = sketch.node("Conv", [x, w, b], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
      const kept = sketch.node("Clip", [sums, sketch.real("low", -(2 ** 24)), sketch.real("high", 2 ** 24)]);
      const m = Array.from({ length: K }, () => 128 / (255 * 127 * Math.sqrt(C * 9)) / (0.5 + random.next()));
      const scaled = sketch.node("Mul", [kept, sketch.constant("m", float32([K, 1, 1], m))]);
      return sketch.model(scaled, [1, K, 8, 8], { scale: 1, zeroPoint: random.integer(0, 255) });
    },
  },
];

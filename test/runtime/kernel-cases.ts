// The patterns that lowering writes, each as a small random model. What kernels.test.ts runs on every runtime.

import type { Tensor } from "../../src/base/tensor.js";
import { float32, int64, sizeOf } from "../../src/base/tensor.js";
import { conv, onBytes, pair, pooled, product, single } from "./kernel-models.js";
import type { Model, Random } from "./sketch.js";
import { Sketch } from "./sketch.js";

export interface KernelCase {
  readonly title: string;
  /** Operators that ONNX Runtime on the CPU must have made of it. */
  readonly fused: readonly string[];
  /** What a run without optimization gives: the same, other ties (by one step), or floats 1e-5 apart. */
  readonly unfused: "equal" | "ties" | "close";
  readonly make: (random: Random) => Model;
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
    title: "AveragePool of large windows",
    fused: ["QLinearAveragePool"],
    unfused: "ties",
    make: single("AveragePool", { kernel_shape: [7, 7] }, "same", pooled(7, 1, [0, 0, 0, 0])),
  },
  {
    title: "AveragePool along one axis",
    fused: ["QLinearAveragePool"],
    unfused: "ties",
    make: (random) => {
      const sketch = new Sketch();
      const scale = random.scale();
      const x = sketch.dequantize(sketch.input("x", random.bytes([2, 5, 30])), scale, 128);
      const y = sketch.node("AveragePool", [x], { kernel_shape: [3], strides: [2], pads: [1, 0] });
      return sketch.model(y, [2, 5, 15], { scale, zeroPoint: 128 });
    },
  },
  {
    title: "Add, then Relu, to zero point 0",
    fused: ["QLinearAdd"],
    unfused: "ties",
    make: (random) => {
      const sketch = new Sketch();
      const scale = random.scale();
      const a = sketch.dequantize(sketch.input("a", random.bytes([1, 4, 9, 9])), scale, 128);
      const b = sketch.dequantize(sketch.input("b", random.bytes([1, 4, 1, 1])), scale, 128);
      const y = sketch.node("Relu", [sketch.node("Add", [a, b])]);
      return sketch.model(y, [1, 4, 9, 9], { scale: Math.fround(scale * 1.1), zeroPoint: 0 });
    },
  },
  {
    title: "Conv, Relu, to another zero point than 0",
    fused: ["FusedConv"],
    unfused: "ties",
    make: conv({ relu: true, reluZeroPoint: 7 }),
  },
  {
    title: "MatMul of two computed operands",
    fused: ["QLinearMatMul"],
    unfused: "ties",
    make: (random) => {
      const sketch = new Sketch();
      const [M, C, K] = [random.integer(1, 9), random.integer(1, 60), random.integer(1, 9)];
      const [scaleA, scaleB] = [random.scale(), random.scale()];
      const a = sketch.dequantize(sketch.input("a", random.bytes([2, M, C])), scaleA, 128);
      const b = sketch.dequantize(sketch.input("b", random.bytes([2, C, K])), scaleB, 100);
      const scale = Math.fround(scaleA * scaleB * 60 * Math.sqrt(C) * (0.5 + random.next()));
      return sketch.model(sketch.node("MatMul", [a, b]), [2, M, K], { scale, zeroPoint: 128 });
    },
  },
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
    title: "the same of a flat list (Cast, GatherElements)",
    fused: ["GatherElements"],
    unfused: "equal",
    make: (random) => {
      const sketch = new Sketch();
      const table = sketch.constant("table", random.bytes([256]));
      const index = sketch.node("Cast", [sketch.input("x", random.bytes([500]))], { to: 6 }, "int32");
      return sketch.model(sketch.node("GatherElements", [table, index], { axis: 0 }, "uint8"), [500], null);
    },
  },
  {
    title: "a float Conv of integers that must stay exact (Clip, Mul, QuantizeLinear at scale 1)",
    // The convolution is a Conv or a FusedConv, as the processor has layouts for it.
    fused: ["QuantizeLinear"],
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

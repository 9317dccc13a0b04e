// Small networks of the kinds that have no layers, for training: an ONNX file as PyTorch writes it, with its batch fixed at 1, and
// a graph-model as tensorflowjs_converter writes it, its batch normalization folded.

import { float32, sizeOf, tensor } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Graph, Value } from "../../src/graph/graph.js";
import { seeded } from "../support/layers-models.js";
import { ints, node, s, type TestGraph, type TestNode, type TestWeight } from "../support/graph-models.js";

/** Of 3 classes, for images of 8 px. */
export interface Shape {
  readonly size?: number;
  readonly classes?: number;
  readonly batch?: number | string;
  /** In place of global pooling, a map that is flattened: weights for one size. */
  readonly flat?: boolean;
  readonly softmax?: boolean;
}

/** Two convolutions with normalizations that have not folded, a residual, HardSwish spelled out, a dense layer. */
export function exportedGraph(shape: Shape = {}): Graph {
  const { size = 8, classes = 3, batch: n = 1, flat = false, softmax = false } = shape;
  const random = seeded(11);
  const net = new GraphBuilder("exported");
  const numbers = (name: string, dims: readonly number[], low: number, high: number): Value => {
    const data = Float32Array.from({ length: sizeOf(dims) }, () => low + (high - low) * random());
    return net.constant(name, float32(dims, data));
  };
  const map = [n, 6, size, size];
  const conv = (name: string, x: Value, channels: number): Value => {
    const weight = numbers(`${name}.weight`, [6, channels, 3, 3], -0.4, 0.4);
    const pads = { pads: [1, 1, 1, 1], kernel_shape: [3, 3] };
    const sum = net.node(
      "Conv",
      `/${name}/Conv`,
      [x, weight],
      { name: `/${name}/Conv_out`, shape: map },
      pads,
    );
    const rows = [
      numbers(`${name}.gamma`, [6], 0.5, 1.5),
      numbers(`${name}.beta`, [6], -0.2, 0.2),
      numbers(`${name}.mean`, [6], -0.2, 0.2),
      numbers(`${name}.var`, [6], 0.5, 1.5),
    ];
    return net.node("BatchNormalization", `/${name}/bn`, [sum, ...rows], {
      name: `/${name}/bn_out`,
      shape: map,
    });
  };
  const x = net.input("image", [n, 3, size, size]);
  const first = net.node("Relu", "/relu", [conv("conv1", x, 3)], { name: "/relu_out", shape: map });
  const second = conv("conv2", first, 6);
  const scalar = (name: string, value: number): Value => net.constant(name, float32([], [value]));
  const shifted = net.node("Add", "/act/Add", [second, scalar("three", 3)], {
    name: "/act/Add_out",
    shape: map,
  });
  const bounds = [scalar("zero", 0), scalar("six", 6)];
  const clipped = net.node("Clip", "/act/Clip", [shifted, ...bounds], { name: "/act/Clip_out", shape: map });
  const product = net.node("Mul", "/act/Mul", [second, clipped], { name: "/act/Mul_out", shape: map });
  const swish = net.node("Div", "/act/Div", [product, scalar("divisor", 6)], {
    name: "/act_out",
    shape: map,
  });
  const sum = net.node("Add", "/add", [swish, first], { name: "/add_out", shape: map });
  const units = flat ? 6 * size * size : 6;
  const pooled = flat
    ? sum
    : net.node("GlobalAveragePool", "/pool", [sum], { name: "/pool_out", shape: [n, 6, 1, 1] });
  const vector = net.node(
    "Reshape",
    "/flat",
    [pooled, net.ints("vector", [typeof n === "number" ? n : -1, units])],
    {
      name: "/flat_out",
      shape: [n, units],
    },
  );
  const dense = [numbers("fc.weight", [classes, units], -0.5, 0.5), numbers("fc.bias", [classes], -0.1, 0.1)];
  const logits = net.node(
    "Gemm",
    "/fc/Gemm",
    [vector, ...dense],
    { name: "logits", shape: [n, classes] },
    { transB: 1 },
  );
  const output = { name: "probabilities", shape: [n, classes] };
  net.output(softmax ? net.node("Softmax", "/softmax", [logits], output, { axis: -1 }) : logits);
  return net.graph;
}

/** A convolution with ReLU6, a depthwise one, a mean over all of space, a dense layer and a softmax. */
export function convertedGraph({ size = 8, classes = 3 }: Shape = {}): TestGraph {
  const random = seeded(12);
  const real = (...shape: readonly number[]): TestWeight => ({
    shape,
    data: Array.from({ length: sizeOf(shape) }, () => random() - 0.5),
  });
  const windows = { strides: ints(1, 1, 1, 1), dilations: ints(1, 1, 1, 1), padding: s("SAME") };
  const nodes: readonly TestNode[] = [
    node("conv/Conv2D", "Conv2D", ["image", "conv/kernel"], windows),
    node("conv/BiasAdd", "BiasAdd", ["conv/Conv2D", "conv/bias"]),
    node("conv/Relu6", "Relu6", ["conv/BiasAdd"]),
    node("dw/depthwise", "DepthwiseConv2dNative", ["conv/Relu6", "dw/kernel"], windows),
    node("dw/BiasAdd", "BiasAdd", ["dw/depthwise", "dw/bias"]),
    node("dw/Relu", "Relu", ["dw/BiasAdd"]),
    node("pool/Mean", "Mean", ["dw/Relu", "pool/axes"], { keep_dims: { b: false } }),
    node("dense/MatMul", "MatMul", ["pool/Mean", "dense/kernel"], {
      transpose_a: { b: false },
      transpose_b: { b: false },
    }),
    node("dense/BiasAdd", "BiasAdd", ["dense/MatMul", "dense/bias"]),
    node("probabilities", "Softmax", ["dense/BiasAdd"]),
  ];
  return {
    inputs: { image: { shape: [null, size, size, 3] } },
    nodes,
    weights: {
      "conv/kernel": real(3, 3, 3, 6),
      "conv/bias": real(6),
      "dw/kernel": real(3, 3, 6, 1),
      "dw/bias": real(6),
      "pool/axes": { shape: [2], data: [1, 2], dtype: "int32" },
      "dense/kernel": real(6, classes),
      "dense/bias": real(classes),
    },
    outputs: ["probabilities"],
  };
}

/** A convolution and a dense layer with QuantizeLinear and DequantizeLinear where qdg has quantizers, as tools of quantization write them. */
export function roundedGraph(): Graph {
  const random = seeded(13);
  const net = new GraphBuilder("rounded");
  const byte = (name: string, x: number): Value => net.constant(name, tensor("uint8", [], Uint8Array.of(x)));
  const pair = (x: Value, scale: number, zero: number): Value => {
    const parameters = [net.constant(`${x.name}/s`, float32([], [scale])), byte(`${x.name}/z`, zero)];
    const bytes = { name: `${x.name}/q`, shape: x.shape, dtype: "uint8" } as const;
    const stored = net.node("QuantizeLinear", `${x.name}/Q`, [x, ...parameters], bytes);
    return net.node("DequantizeLinear", `${x.name}/D`, [stored, ...parameters], {
      name: `${x.name}/d`,
      shape: x.shape,
    });
  };
  const weight = (name: string, ...shape: readonly number[]): Value => {
    const integers = Int8Array.from({ length: sizeOf(shape) }, () => Math.round(254 * random()) - 127);
    const count = shape[0] as number;
    const inputs = [
      net.constant(`${name}/q`, tensor("int8", shape, integers)),
      net.constant(`${name}/s`, float32([count], new Float32Array(count).fill(0.004))),
      net.constant(`${name}/z`, tensor("int8", [count], new Int8Array(count))),
    ];
    return net.node("DequantizeLinear", `${name}/D`, inputs, { name, shape }, { axis: 0 });
  };
  const image = pair(net.input("image", ["N", 3, 8, 8]), 1 / 127, 128);
  const map = ["N", 6, 8, 8];
  const pads = { pads: [1, 1, 1, 1] };
  const sum = net.node(
    "Conv",
    "/conv",
    [image, weight("conv.weight", 6, 3, 3, 3)],
    { name: "conv", shape: map },
    pads,
  );
  const relu = pair(net.node("Relu", "/relu", [sum], { name: "relu", shape: map }), 0.05, 0);
  const pooled = net.node("GlobalAveragePool", "/pool", [relu], { name: "pool", shape: ["N", 6, 1, 1] });
  const flat = net.node("Flatten", "/flat", [pair(pooled, 0.02, 0)], { name: "flat", shape: ["N", 6] });
  const logits = { name: "logits", shape: ["N", 3] };
  net.output(net.node("Gemm", "/fc", [flat, weight("fc.weight", 3, 6)], logits, { transB: 1 }));
  return net.graph;
}

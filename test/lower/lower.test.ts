// Text snapshots: what lowering writes for small annotated networks, in both forms. That the numbers are
// right is tested by running them (test/read, test/e2e).

import { describe, expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Graph, Value } from "../../src/graph/graph.js";
import { printGraph } from "../../src/graph/print.js";
import { lower } from "../../src/lower/lower.js";
import { activationSpec, weightSpec } from "../../src/quant/spec.js";

function unsigned(value: Value, bits: number, scale: number): Value {
  value.quantization = {
    spec: activationSpec(bits, "non-negative"),
    params: { scale: Float32Array.of(scale), zeroPoint: Int32Array.of(0) },
  };
  return value;
}

function conv(net: GraphBuilder, name: string, x: Value, bits: number): Value {
  const kernel = net.constant(`${name}/kernel`, float32([1, 1, 1, 2], [0.5, -1]));
  kernel.quantization = {
    spec: weightSpec(bits, 0),
    params: { scale: Float32Array.of(0.5), zeroPoint: Int32Array.of(0) },
  };
  const bias = net.constant(`${name}/bias`, float32([1], [1]));
  return net.node("Conv", name, [x, kernel, bias], { name, shape: [1, 1, 4, 4] });
}

/** Input of 8 bits -> Conv of 3 bits -> ReLU6 of 4 bits -> Conv of 8 bits to real logits. */
function network(): Graph {
  const net = new GraphBuilder("net");
  const x = unsigned(net.input("x", [1, 1, 4, 5]), 8, 0.25);
  const six = [net.constant("zero", float32([], [0])), net.constant("six", float32([], [6]))];
  const relu = net.node("Clip", "relu6", [conv(net, "conv", x, 3), ...six], {
    name: "relu6",
    shape: [1, 1, 4, 4],
  });
  net.output(conv(net, "logits", unsigned(relu, 4, 0.5), 8));
  return net.graph;
}

describe("a chain of convolutions is lowered", () => {
  test("to integer kernels: ReLU6 is an integer clip, the last sum stays exact in float", () => {
    expect(printGraph(lower(network(), { form: "integer", weights: "packed" }).graph)).toMatchInlineSnapshot(`
      "graph net(x: float32[1,1,4,5])
        x/quantized: uint8[1,1,4,5] = QuantizeLinear(x, _0: float32[] = 0.25, _1: uint8[] = 0) @input
        _5: int8[1,1,1,2] = qdg.Unpack3(_3: uint8[3,1] = [1,2,2], _4: int64[4] = [1,1,1,2]) @conv
        _7: int8[1,1,1,2] = qdg.Shift(_5, _6: uint8[] = 4) @conv
        _8: float32[1,1,1,2] = DequantizeLinear(_7, _2: float32[1] = [0.03125]) {axis=0} @conv
        _9: float32[1,1,4,5] = DequantizeLinear(x/quantized, _0: float32[] = 0.25, _1: uint8[] = 0) @conv
        _b: float32[1] = Mul(_2: float32[1] = [0.03125], _0: float32[] = 0.25) @conv
        _c: float32[1] = DequantizeLinear(_a: int32[1] = [128], _b) {axis=0} @conv
        _d: float32[1,1,4,4] = Conv(_9, _8, _c) @conv
        _f: uint8[1,1,4,4] = QuantizeLinear(_d, _e: float32[] = 0.5, _1: uint8[] = 0) @relu6
        relu6: uint8[1,1,4,4] = Clip(_f, _1: uint8[] = 0, _g: uint8[] = 12)
        _h: float32[1,1,4,4] = Cast(relu6) {to=1} @logits
        _j: float32[1,1,1,2] = Cast(_i: uint8[1,1,1,2] = [129,126]) {to=1} @logits
        _l: float32[1,1,1,2] = Sub(_j, _k: float32[] = 128) @logits
        _n: float32[1,1,4,4] = Conv(_h, _l, _m: float32[1] = [4]) @logits
        _q: float32[1,1,4,4] = Clip(_n, _o: float32[] = -16777216, _p: float32[] = 16777216) @logits
        logits: float32[1,1,4,4] = Mul(_q, _0: float32[] = 0.25)
        return logits
      "
    `);
  });

  test("to integer-valued float: a clamp keeps the multiplier out of the weights", () => {
    expect(printGraph(lower(network(), { form: "float", weights: "int8" }).graph)).toMatchInlineSnapshot(`
      "graph net(x: float32[1,1,4,5])
        _1: float32[1,1,4,5] = Div(x, _0: float32[] = 0.25) @input
        _4: float32[1,1,4,5] = Clip(_1, _3: float32[] = 0, _2: float32[] = 255) @input
        x/quantized: float32[1,1,4,5] = Round(_4) @input
        _6: float32[1,1,1,2] = Cast(_5: int8[1,1,1,2] = [1,-2]) {to=1} @conv
        _8: float32[1,1,1,2] = Mul(_6, _7: float32[1,1,1,1] = [0.25]) @conv
        _a: float32[1,1,4,4] = Conv(x/quantized, _8, _9: float32[1] = [2]) @conv
        _c: float32[1,1,4,4] = Clip(_a, _3: float32[] = 0, _b: float32[] = 12) @relu6
        relu6: float32[1,1,4,4] = Round(_c)
        _e: float32[1,1,1,2] = Cast(_d: uint8[1,1,1,2] = [129,126]) {to=1} @logits
        _g: float32[1,1,1,2] = Sub(_e, _f: float32[] = 128) @logits
        _i: float32[1,1,4,4] = Conv(relu6, _g, _h: float32[1] = [4]) @logits
        _l: float32[1,1,4,4] = Clip(_i, _j: float32[] = -16777216, _k: float32[] = 16777216) @logits
        logits: float32[1,1,4,4] = Mul(_l, _0: float32[] = 0.25)
        return logits
      "
    `);
  });
});

test("without quantized activations, weights become real again by constants that fold", () => {
  const net = new GraphBuilder("weights only");
  net.output(conv(net, "conv", net.input("x", [1, 1, 4, 5]), 4));
  expect(printGraph(lower(net.graph, { form: "integer", weights: "int4" }).graph)).toMatchInlineSnapshot(`
    "graph weights only(x: float32[1,1,4,5])
      _1: int8[1,1,1,2] = Cast(_0: int4[1,1,1,2] = [1,-2]) {to=3} @conv
      _2: float32[1,1,1,2] = Cast(_1) {to=1} @conv
      _4: float32[1,1,1,2] = Mul(_2, _3: float32[1,1,1,1] = [0.5]) @conv
      conv: float32[1,1,4,4] = Conv(x, _4, _5: float32[1] = [1])
      return conv
    "
  `);
});

test("an activation function between integers is a table of its results", () => {
  const net = new GraphBuilder("table");
  const x = unsigned(net.input("x", [1, 2]), 2, 1);
  const y = net.node("Sigmoid", "sigmoid", [x], { name: "sigmoid", shape: [1, 2] });
  const kernel = net.constant("dense/kernel", float32([1, 2], [1, 1]));
  kernel.quantization = {
    spec: weightSpec(8, 0),
    params: { scale: Float32Array.of(1), zeroPoint: Int32Array.of(0) },
  };
  const dense = net.node(
    "Gemm",
    "dense",
    [unsigned(y, 8, 1 / 256), kernel],
    { name: "dense", shape: [1, 1] },
    { transB: 1 },
  );
  net.output(dense);
  expect(printGraph(lower(net.graph, { form: "integer", weights: "packed" }).graph)).toMatchInlineSnapshot(`
    "graph table(x: float32[1,2])
      _2: uint8[1,2] = QuantizeLinear(x, _0: float32[] = 1, _1: uint8[] = 0) @input
      x/quantized: uint8[1,2] = Clip(_2, _1: uint8[] = 0, _3: uint8[] = 3) @input
      _4: int32[1,2] = Cast(x/quantized) {to=6} @sigmoid
      sigmoid: uint8[1,2] = Gather(_5: uint8[4] = [128,187,225,244], _4)
      _9: float32[1,2] = DequantizeLinear(_7: int8[1,2] = [1,1], _6: float32[1] = [1], _8: int8[1] = [0]) {axis=0} @dense
      _b: float32[1,2] = DequantizeLinear(sigmoid, _a: float32[] = 0.00390625, _1: uint8[] = 0) @dense
      dense: float32[1,1] = Gemm(_b, _9) {transB=1}
      return dense
    "
  `);
});

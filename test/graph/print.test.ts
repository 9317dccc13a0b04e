import { expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import { printGraph } from "../../src/graph/print.js";
import { activationSpec, weightSpec } from "../../src/quant/spec.js";

test("a graph prints as one line a node, with types, quantization, attributes and small constants", () => {
  const builder = new GraphBuilder("sample");
  const x = builder.input("x", ["N", 3, 8, 8]);
  const w = builder.constant("conv/kernel", float32([2, 3, 3, 3], new Float32Array(54)));
  w.quantization = {
    spec: weightSpec(3, 0),
    params: { scale: Float32Array.of(0.5, 0.25), zeroPoint: Int32Array.of(0, 0) },
  };
  w.channelFactor = { axis: 0, factors: Float32Array.of(1, -2) };
  const conv = builder.node(
    "Conv",
    "conv",
    [x, w, null],
    { name: "conv/linear", shape: ["N", 2, 8, 8] },
    {
      pads: [1, 1, 1, 1],
      auto_pad: "NOTSET",
    },
  );
  const relu = builder.node(
    "LeakyRelu",
    "conv",
    [conv],
    { name: "conv", shape: ["N", 2, 8, 8] },
    { alpha: { float: 1 } },
  );
  relu.quantization = {
    spec: activationSpec(4, "asymmetric"),
    params: { scale: Float32Array.of(0.1), zeroPoint: Int32Array.of(3) },
  };
  const flat = builder.node("Reshape", "flatten", [relu, builder.ints("shape", [0, -1])], {
    name: "flatten",
    shape: ["N", 128],
  });
  builder.output(
    builder.node("Unpack3", "flatten", [flat], { name: "y", shape: [], dtype: "int8" }, {}, "qdg"),
  );

  expect(printGraph(builder.graph)).toBe(
    [
      "graph sample(x: float32[N,3,8,8])",
      '  conv/linear: float32[N,2,8,8] = Conv(x, conv/kernel: float32[2,3,3,3] <factor axis=0 -2..1> <s3 axis=0 scale=0.25..0.5>, _) {auto_pad="NOTSET", pads=[1,1,1,1]} @conv',
      "  conv: float32[N,2,8,8] <u4 scale=0.1 zero=3> = LeakyRelu(conv/linear) {alpha=1.0}",
      "  flatten: float32[N,128] = Reshape(conv, shape: int64[2] = [0,-1])",
      "  y: int8[] = qdg.Unpack3(flatten) @flatten",
      "  return y",
      "",
    ].join("\n"),
  );
});

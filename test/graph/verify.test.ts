import { describe, expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Graph, Node, Value } from "../../src/graph/graph.js";
import { verifyGraph } from "../../src/graph/verify.js";
import { weightSpec } from "../../src/quant/spec.js";

/** x -> Conv(w) -> Relu -> out, with a channelFactor and a quantization on w. */
function sample(): { graph: Graph; x: Value; w: Value; conv: Value; relu: Value; nodes: [Node, Node] } {
  const builder = new GraphBuilder("sample");
  const x = builder.input("x", ["N", 3, 8, 8]);
  const w = builder.constant("w", float32([2, 3, 1, 1], [1, 2, 3, 4, 5, 6]));
  w.channelFactor = { axis: 0, factors: Float32Array.of(1, -2) };
  w.quantization = {
    spec: weightSpec(3, 0),
    params: { scale: Float32Array.of(0.5, 0.25), zeroPoint: Int32Array.of(0, 0) },
  };
  const conv = builder.node("Conv", "conv", [x, w, null], { name: "conv", shape: ["N", 2, 8, 8] });
  const relu = builder.node("Relu", "relu", [conv], { name: "relu", shape: ["N", 2, 8, 8] });
  builder.output(relu);
  return { graph: builder.graph, x, w, conv, relu, nodes: builder.graph.nodes as [Node, Node] };
}

type Sample = ReturnType<typeof sample>;

describe("verifyGraph", () => {
  test("accepts a graph that a builder made", () => {
    expect(() => verifyGraph(sample().graph)).not.toThrow();
  });

  test.each<[string, (s: Sample) => void, RegExp]>([
    ["two values of one name", (s) => (s.relu.name = "x"), /^x: two values have this name/],
    ["a value without a name", (s) => (s.w.name = ""), /has no name/],
    [
      "nodes out of order",
      (s) => s.graph.nodes.reverse(),
      /^relu \(Relu\): input 0: conv is computed only later/,
    ],
    ["an input from nowhere", (s) => (s.graph.inputs = []), /^conv \(Conv\): input 0: x is neither input/],
    [
      "an output that nothing computes",
      (s) => (s.graph.nodes.length = 1),
      /^relu: is an output that nothing/,
    ],
    [
      "a producer that is not the node",
      (s) => (s.conv.producer = s.nodes[1]),
      /^conv: names relu \(Relu\) as/,
    ],
    ["no producer", (s) => delete s.conv.producer, /^conv: names none as its producer/],
    ["a node that stands twice", (s) => s.graph.nodes.push(s.nodes[1]), /stands twice/],
    ["a value computed twice", (s) => (s.nodes[1].outputs = [s.conv]), /^conv: is computed twice/],
    ["a node without outputs", (s) => (s.nodes[1].outputs = []), /has no output/],
    ["an input computed by a node", (s) => s.graph.inputs.push(s.conv), /^conv: is an input and computed/],
    ["an input that is constant", (s) => s.graph.inputs.push(s.w), /^w: is an input and a constant/],
    ["an input that is there twice", (s) => s.graph.inputs.push(s.x), /^x: is there twice among the inputs/],
    [
      "an output that is there twice",
      (s) => s.graph.outputs.push(s.relu),
      /^relu: is there twice among the outputs/,
    ],
    [
      "a constant that a node computes",
      (s) => (s.relu.constant = float32([], [1])),
      /^relu: is a constant and/,
    ],
    [
      "a shape unlike its constant's",
      (s) => (s.w.shape = [3, 2, 1, 1]),
      /^w: is float32 \[3, 2, 1, 1\], but/,
    ],
    [
      "a type unlike its constant's",
      (s) => (s.w.dtype = "int8"),
      /^w: is int8 .* but its constant is float32/,
    ],
    [
      "a constant with too few elements",
      (s) => (s.w.constant = { dtype: "float32", shape: [2, 3, 1, 1], data: new Float32Array(5) }),
      /^w: has 5 elements, expected 6/,
    ],
    [
      "elements in an array of another type",
      (s) => (s.w.constant = { dtype: "float32", shape: [2, 3, 1, 1], data: new Int32Array(6) }),
      /^w: has its elements in a Int32Array, expected a Float32Array/,
    ],
    ["a negative dimension", (s) => (s.relu.shape = [-1]), /^relu: has shape \[-1\]/],
    ["a fraction as a dimension", (s) => (s.relu.shape = [1.5]), /^relu: has shape/],
    ["a dimension without a name", (s) => (s.relu.shape = [""]), /^relu: has shape/],
    ["an unknown rank with a dimension", (s) => (s.relu.shape = [1, "..."]), /^relu: has shape/],
    [
      "a factor on an axis that is not there",
      (s) => (s.w.channelFactor = { axis: 4, factors: Float32Array.of(1, 1) }),
      /^w: has a channelFactor on axis 4, expected 0\.\.3/,
    ],
    [
      "too many factors",
      (s) => (s.w.channelFactor = { axis: 0, factors: Float32Array.of(1, 1, 1) }),
      /^w: has 3 factors, expected 2/,
    ],
    [
      "a factor that is not finite",
      (s) => (s.w.channelFactor = { axis: 0, factors: Float32Array.of(1, NaN) }),
      /^w: factor\[1\]: got NaN/,
    ],
    [
      "a factor on what is no constant",
      (s) => (s.relu.channelFactor = { axis: 1, factors: Float32Array.of(1, 1) }),
      /^relu: has a channelFactor, which only constants/,
    ],
    [
      "bits out of range",
      (s) => (s.w.quantization = { ...quantized(s), spec: weightSpec(9, 0) }),
      /bits: got 9/,
    ],
    [
      "a wrong number of scales",
      (s) => (s.w.quantization = { ...quantized(s), spec: weightSpec(3, 1) }),
      /^w: has 2 scales and 2 zero points, expected 3/,
    ],
    [
      "scales along an axis of unknown size",
      (s) => (s.relu.quantization = { ...quantized(s), spec: weightSpec(3, 0) }),
      /^relu: is quantized along axis 0/,
    ],
    [
      "chosen integers that are not one an element",
      (s) => (s.w.integers = Int32Array.of(1)),
      /^w: has 1 integers, expected \d+/,
    ],
    [
      "a chosen integer out of range",
      (s) => (s.w.integers = new Int32Array(s.w.constant?.data.length ?? 0).fill(4)),
      /^w: has the integer 4, expected -4..3/,
    ],
    [
      "chosen integers without a quantization",
      (s) => (s.relu.integers = Int32Array.of(1)),
      /^relu: has integers without a quantization/,
    ],
    ["a scale of 0", (s) => (quantized(s).params.scale[1] = 0), /^w: scale\[1\]: got 0/],
    ["a scale of NaN", (s) => (quantized(s).params.scale[0] = NaN), /^w: scale\[0\]: got NaN/],
  ])("refuses %s", (_, change, message) => {
    const changed = sample();
    change(changed);
    expect(() => verifyGraph(changed.graph)).toThrow(message);
  });
});

function quantized(s: Sample): NonNullable<Value["quantization"]> {
  return s.w.quantization as NonNullable<Value["quantization"]>;
}

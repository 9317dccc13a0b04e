import { expect, test } from "vitest";
import { float32 } from "../../../src/base/tensor.js";
import type { Value } from "../../../src/graph/graph.js";
import { GraphBuilder } from "../../../src/graph/builder.js";
import { clipRange } from "../../../src/graph/node-kinds.js";
import { mergeRectifiers } from "../../../src/graph/passes/merge-rectifiers.js";
import { verifyGraph } from "../../../src/graph/verify.js";

type Range = readonly [low: number, high: number];

/** x -> first -> second -> y; a range from 0 to infinity is a Relu. */
function rectified(first: Range, second: Range): GraphBuilder {
  const builder = new GraphBuilder("g");
  const x = builder.input("x", ["N", 3]);
  const y = rectify(builder, "second", rectify(builder, "first", x, first), second);
  builder.output(y);
  return builder;
}

function rectify(builder: GraphBuilder, name: string, x: Value, [low, high]: Range): Value {
  const output = { name, shape: x.shape };
  if (low === 0 && high === Infinity) return builder.node("Relu", name, [x], output);
  const bound = (what: string, value: number): Value | null =>
    Number.isFinite(value) ? builder.constant(`${name}/${what}`, float32([], [value])) : null;
  return builder.node("Clip", name, [x, bound("min", low), bound("max", high)], output);
}

test.each<[Range, Range, string, Range]>([
  [[0, Infinity], [0, Infinity], "Relu", [0, Infinity]],
  [[0, Infinity], [0, 6], "Clip", [0, 6]],
  [[0, 6], [0, Infinity], "Clip", [0, 6]],
  [[0, 6], [0, 4], "Clip", [0, 4]],
  [[-1, 1], [0, Infinity], "Clip", [0, 1]],
  [[-1, 1], [-2, 0.5], "Clip", [-1, 0.5]],
  [[-Infinity, 3], [0, Infinity], "Clip", [0, 3]],
])("a rectifier to %j and one to %j are %s to %j", (first, second, op, range) => {
  const { graph } = rectified(first, second);
  const merged = mergeRectifiers(graph);
  verifyGraph(merged);
  expect(merged.nodes.map((node) => [node.op, node.origin, clipRange(node)])).toEqual([
    [op, "second", range],
  ]);
  expect(merged.outputs[0]?.name).toBe("second");
  expect(graph.nodes).toHaveLength(2);
  expect(mergeRectifiers(merged)).toEqual(merged);
});

test("three in a row become one", () => {
  const builder = rectified([0, Infinity], [0, 6]);
  builder.graph.outputs = [rectify(builder, "third", builder.graph.outputs[0] as Value, [0, 3])];
  const merged = mergeRectifiers(builder.graph);
  expect(merged.nodes.map((node) => [node.origin, clipRange(node)])).toEqual([["third", [0, 3]]]);
});

test("a value that something else reads, or that is an output, stays", () => {
  const both = rectified([0, Infinity], [0, 6]);
  both.output(both.graph.nodes[0]?.outputs[0] as Value);
  expect(mergeRectifiers(both.graph)).toEqual(both.graph);
  const read = rectified([0, Infinity], [0, 6]);
  read.output(rectify(read, "other", read.graph.nodes[0]?.outputs[0] as Value, [0, 1]));
  expect(mergeRectifiers(read.graph)).toEqual(read.graph);
});

import { expect, test } from "vitest";
import { float32 } from "../../../src/base/tensor.js";
import { GraphBuilder } from "../../../src/graph/builder.js";
import type { Value } from "../../../src/graph/graph.js";
import { requantizeResiduals } from "../../../src/graph/passes/requantize-residuals.js";

function conv(net: GraphBuilder, name: string, x: Value, group = 1): Value {
  const kernel = net.constant(`${name}/kernel`, float32([2, 2 / group, 1, 1], new Float32Array(4 / group)));
  return net.node("Conv", name, [x, kernel], { name, shape: x.shape }, { group });
}

function readers(net: GraphBuilder): string[] {
  return requantizeResiduals(net.graph).nodes.map(
    ({ op, origin, inputs, outputs }) =>
      `${op} @${origin}: ${inputs.map((input) => input?.name).join(", ")} -> ${outputs[0]?.name}`,
  );
}

test("convolutions that read what an Add reads share one copy of it, moved or not; the Add reads the value itself", () => {
  const net = new GraphBuilder("residual");
  const a = conv(net, "a", net.input("x", [1, 2, 3, 3]));
  const moved = net.node("MaxPool", "pool", [a], { name: "pool", shape: a.shape }, { kernel_shape: [1, 1] });
  const b = net.node("Add", "add", [conv(net, "b", moved), a], { name: "add", shape: a.shape });
  net.output(
    net.node("Add", "sum", [conv(net, "c", b), conv(net, "d", moved)], { name: "sum", shape: a.shape }),
  );
  expect(readers(net)).toEqual([
    "Conv @a: x, a/kernel -> a",
    "MaxPool @pool: a -> pool",
    "Requantize @pool: pool -> pool/requantized",
    "Conv @b: pool/requantized, b/kernel -> b",
    "Add @add: b, a -> add",
    "Conv @c: add, c/kernel -> c",
    "Conv @d: pool/requantized, d/kernel -> d",
    "Add @sum: c, d -> sum",
  ]);
});

test("the network's input, a chain without a sum and batch normalization that did not fold read no copy", () => {
  const net = new GraphBuilder("plain");
  const x = net.input("x", [1, 2, 3, 3]);
  const a = net.node("Add", "add", [conv(net, "a", x), x], { name: "add", shape: x.shape });
  const scaled = conv(net, "scaling", a, 2);
  net.output(net.node("Add", "sum", [scaled, a], { name: "sum", shape: x.shape }));
  expect(readers(net).filter((each) => each.startsWith("Requantize"))).toEqual([]);
});

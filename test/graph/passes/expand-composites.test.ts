import { expect, test } from "vitest";
import { GraphBuilder } from "../../../src/graph/builder.js";
import { expandComposites } from "../../../src/graph/passes/expand-composites.js";

function composite(op: string): GraphBuilder {
  const builder = new GraphBuilder("g");
  const x = builder.input("x", ["N", 3]);
  builder.output(builder.node(op, "layer", [x], { name: "y", shape: x.shape }, {}, "qdg"));
  return builder;
}

// What the expansions compute is judged in activations.test.ts, by ONNX Runtime.
test.each(["Swish", "GeneralRelu"])(
  "%s becomes plain operators and keeps its output's name and origin",
  (op) => {
    const { graph } = composite(op);
    const expanded = expandComposites(graph);
    expect(expanded.nodes.every((node) => node.domain === "" && node.origin === "layer")).toBe(true);
    expect(expanded.outputs[0]?.name).toBe("y");
    expect(expanded.outputs[0]?.producer).toBe(expanded.nodes.at(-1));
    expect(graph.nodes.map((node) => node.op)).toEqual([op]);
    expect(expandComposites(expanded)).toEqual(expanded);
  },
);

test("calls of functions that the file brings along stay", () => {
  const { graph } = composite("Unpack3");
  expect(expandComposites(graph)).toEqual(graph);
});

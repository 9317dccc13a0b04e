// Whose integers a value holds: nodes that only move elements give on those of their input.

import { type Graph, inputOf, type Value } from "./graph.js";
import { activationInputs, kindOf } from "./node-kinds.js";

/** For each value that only moves integers, the value that they come from. */
export function integerSources(graph: Graph): Map<Value, Value> {
  const sources = new Map<Value, Value>();
  for (const node of graph.nodes) {
    if (kindOf(node) !== "rearranging") continue;
    const input = inputOf(node, 0);
    for (const output of node.outputs) sources.set(output, sources.get(input) ?? input);
  }
  return sources;
}

/** Computed values whose integers Add and its like read: a residual network's stream, and what is added to it. */
export function residualValues(graph: Graph): Set<Value> {
  const sources = integerSources(graph);
  return new Set(
    graph.nodes
      .filter((node) => kindOf(node) === "shared-operands")
      .flatMap((node) => activationInputs(node).map((operand) => sources.get(operand) ?? operand))
      .filter(({ producer }) => producer !== undefined),
  );
}

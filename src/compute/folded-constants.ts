// The values of a graph that no input decides, computed once.

import type { Graph } from "../graph/graph.js";
import type { Operators } from "./kernel.js";
import { LiveValues } from "./live-values.js";
import { evaluate, isConstant, stepOf } from "./step.js";

/**
 * Values that no input decides: constants, and what nodes compute from them. What DequantizeLinear makes of
 * constants is not among them, so that integers of weights stay visible as such.
 */
export function foldedConstants(graph: Graph, operators: Operators): LiveValues {
  const constants = new LiveValues();
  for (const node of graph.nodes) {
    for (const input of node.inputs) if (input?.constant) constants.set(input, input.constant);
  }
  for (const output of graph.outputs) if (output.constant) constants.set(output, output.constant);
  for (const node of graph.nodes) {
    if (node.op !== "DequantizeLinear" && isConstant(node.inputs, constants)) {
      evaluate(stepOf(node, operators), constants);
    }
  }
  return constants;
}

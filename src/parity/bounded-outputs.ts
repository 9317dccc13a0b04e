// Which outputs of a file are bounded by the operator that computes them. Runtimes compute such operators by
// approximations whose error is absolute, so that a tolerance relative to an output near zero means nothing.

import type { Graph, Value } from "../graph/graph.js";
import { kindOf } from "../graph/node-kinds.js";

/**
 * Operators whose results lie in -1..1, computed by exp or a rational approximation of it: a sigmoid of -16 is 1e-7, and
 * two runtimes that are 1e-7 apart there are as near as float32 allows at 0.5.
 */
const BOUNDED: ReadonlySet<string> = new Set(["Sigmoid", "HardSigmoid", "Softmax", "Tanh"]);

/** The largest magnitude that all of them reach: what differences of their results are relative to. */
const BOUND = 1;

/**
 * The floor of a relative difference by the name of the output; absent where the output is not bounded. Seen through
 * what only moves or selects elements.
 */
export function boundedOutputs(graph: Graph): ReadonlyMap<string, number> {
  const bounded = graph.outputs.filter((output) => isBounded(output));
  return new Map(bounded.map(({ name }) => [name, BOUND]));
}

function isBounded(output: Value): boolean {
  let value: Value | null | undefined = output;
  while (value?.producer) {
    const { producer }: Value = value;
    if (!producer) return false;
    if (BOUNDED.has(producer.op)) return true;
    if (producer.op === "Concat") return producer.inputs.every((input) => input !== null && isBounded(input));
    if (kindOf(producer) !== "rearranging" || producer.op === "Pad") return false;
    value = producer.inputs[0];
  }
  return false;
}

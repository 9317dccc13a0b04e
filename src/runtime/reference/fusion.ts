// The steps of the patterns that are computed as one integer kernel. Which nodes those are is
// compute/integer-patterns.ts's to say.

import type { Tensor } from "../../base/tensor.js";
import type { IntegerPattern } from "../../compute/integer-patterns.js";
import { integerPatterns } from "../../compute/integer-patterns.js";
import type { Step } from "../../compute/step.js";
import type { Graph, Node, Value } from "../../graph/graph.js";
import {
  centred,
  quantizedAdd,
  quantizedAverage,
  quantizedGlobalAverage,
  quantizedMul,
  weightedSum,
} from "./fused-kernels.js";

/** The steps of all patterns, each under the node whose output it computes. */
export function fuse(graph: Graph, constants: ReadonlyMap<Value, Tensor>): Map<Node, Step> {
  const steps = new Map<Node, Step>();
  for (const [node, pattern] of integerPatterns(graph, constants)) {
    steps.set(node, fusedStep(pattern, constants));
  }
  return steps;
}

function fusedStep(pattern: IntegerPattern, constants: ReadonlyMap<Value, Tensor>): Step {
  const { node, outputs } = pattern;
  if (pattern.kind === "weighted") {
    const { x, w, bias, target } = pattern;
    const weights = constants.get(w.q);
    let prepared: Float32Array | null = null;
    return {
      node,
      inputs: [x.q, w.q],
      outputs,
      run: (inputs) => {
        const call = { node, inputs };
        if (weights) prepared ??= centred(call, weights, w);
        return [weightedSum(call, x, w, bias, target, prepared)];
      },
    };
  }
  if ("a" in pattern) {
    const { a, b, target } = pattern;
    const kernel = pattern.kind === "add" ? quantizedAdd : quantizedMul;
    return {
      node,
      inputs: [a.q, b.q],
      outputs,
      run: (inputs) => [kernel({ node, inputs }, a, b, target)],
    };
  }
  const { x, target } = pattern;
  const kernel = pattern.kind === "average" ? quantizedAverage : quantizedGlobalAverage;
  return { node, inputs: [x.q], outputs, run: (inputs) => [kernel({ node, inputs }, x, target)] };
}

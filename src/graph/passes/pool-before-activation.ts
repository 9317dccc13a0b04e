// Lets max pooling go before an activation function that never falls: the same maxima, and the function is
// computed on fewer elements.

import type { Graph, Node } from "../graph.js";
import { cloneGraph, consumers, floatAttribute, inputOf, outputOf, replaceUses } from "../graph.js";

/** Never falling. Relu and Clip are not here: they are one with the sum before them, and cost nothing. */
const NEVER_FALLING: ReadonlySet<string> = new Set([
  "Sigmoid",
  "HardSigmoid",
  "Tanh",
  "Softplus",
  "Softsign",
  "ThresholdedRelu",
]);

/**
 * `MaxPool(f(x)) = f(MaxPool(x))` for f that never falls, when only the pooling reads f(x). Element by element
 * exact, in float32 and on integers. The result keeps the activation's name, so that its quantizer is still
 * found under it; a pooling that is an output of the graph stays as it is.
 */
export function poolBeforeActivation(graph: Graph): Graph {
  const result = cloneGraph(graph);
  const uses = consumers(result);
  for (const [i, pool] of result.nodes.entries()) {
    if (pool.op !== "MaxPool" || pool.outputs.length !== 1) continue;
    const y = inputOf(pool, 0);
    const activation = y.producer;
    const pooled = outputOf(pool);
    if (!activation || !neverFalls(activation) || (uses.get(y)?.length ?? 0) !== 1) continue;
    if (result.outputs.includes(y) || result.outputs.includes(pooled)) continue;
    replaceUses(result, pooled, y);
    // The pooling now stands where the activation stood, and that where the pooling was.
    pool.inputs = [inputOf(activation, 0)];
    activation.inputs = [pooled, ...activation.inputs.slice(1)];
    y.shape = pooled.shape;
    result.nodes[result.nodes.indexOf(activation)] = pool;
    result.nodes[i] = activation;
  }
  return result;
}

function neverFalls(node: Node): boolean {
  if (node.domain !== "") return false;
  if (node.op === "LeakyRelu") return floatAttribute(node, "alpha", 0.01) >= 0;
  if (node.op === "Elu") return floatAttribute(node, "alpha", 1) >= 0;
  return NEVER_FALLING.has(node.op);
}

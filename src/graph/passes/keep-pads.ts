// Keeps a Pad before a pool what it is. ONNX Runtime (1.30, PadFusion) would move its zeros into the pool: for
// a MaxPool they would count as minus infinity, and a pool refuses borders as wide as its window.

import { int64 } from "../../base/tensor.js";
import type { Graph, Node } from "../graph.js";
import { cloneGraph, consumers, outputOf } from "../graph.js";

function isPool({ op }: Node): boolean {
  return op === "MaxPool" || op === "AveragePool";
}

/** Names all axes in the Pad's last input, which changes nothing but that ONNX Runtime leaves it alone. */
export function keepPads(graph: Graph): Graph {
  const result = cloneGraph(graph);
  const uses = consumers(result);
  for (const node of result.nodes) {
    if (node.op !== "Pad" || node.inputs[3]) continue;
    const y = outputOf(node);
    if (!uses.get(y)?.some(isPool)) continue;
    const shape = [y.shape.length];
    const axes = int64(
      shape,
      y.shape.map((_, axis) => axis),
    );
    const [x = null, pads = null, value = null] = node.inputs;
    node.inputs = [x, pads, value, { name: `${y.name}/axes`, dtype: "int64", shape, constant: axes }];
  }
  return result;
}

// Makes a network for one image one for any number of them: exporters often fix the batch at 1. Where a size of it has another
// source than the input's, running the network shows it.

import { int64 } from "../base/tensor.js";
import { cloneGraph, type Dim, type Graph, outputOf, valuesOf } from "../graph/graph.js";

/** Of the first input. */
export function batchOf({ inputs }: Graph): Dim {
  return inputs[0]?.shape[0] ?? "N";
}

/**
 * A copy whose inputs have an open batch. Reshapes that name its number take what is left instead: `0` where their input begins with
 * it, `-1` where no other size is left open.
 */
export function withOpenBatch(graph: Graph): Graph {
  const copy = cloneGraph(graph);
  const batch = batchOf(copy);
  if (typeof batch !== "number") return copy;
  for (const input of copy.inputs) {
    if (input.shape[0] === batch) input.shape = ["N", ...input.shape.slice(1)];
  }
  const taken = new Set(valuesOf(copy).map(({ name }) => name));
  for (const node of copy.nodes) {
    const sizes = node.op === "Reshape" && node.domain === "" ? node.inputs[1]?.constant : undefined;
    const listed = sizes ? Array.from(sizes.data as ArrayLike<number | bigint>, Number) : [];
    if (listed[0] !== batch) continue;
    const stays = node.inputs[0]?.shape[0] === batch;
    if (!stays && listed.includes(-1)) continue;
    let name = `${outputOf(node).name}/open_shape`;
    while (taken.has(name)) name += "_";
    taken.add(name);
    const constant = int64([listed.length], [stays ? 0 : -1, ...listed.slice(1)]);
    node.inputs[1] = { name, dtype: "int64", shape: constant.shape, constant };
  }
  return copy;
}

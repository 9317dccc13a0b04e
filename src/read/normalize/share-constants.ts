// Stores a constant once that a file holds several times.

import { type Graph, type Value } from "../../graph/graph.js";
import type { Tensor } from "../../base/tensor.js";
import { rewrite } from "./rewrite.js";

/** Larger ones are weights: each layer keeps its own, so that each has scales and a name of its own. */
const MOST_ELEMENTS = 256;

/** Small constants of one type, shape and content, none of them a weight's, become the first of them. */
export function shareConstants(graph: Graph): Graph {
  const known = new Map<string, Value>();
  return rewrite(graph, (node) => {
    node.inputs = node.inputs.map((input, index) => {
      const constant = input?.constant;
      if (!input || !constant || index === 0 || constant.data.length > MOST_ELEMENTS) return input;
      if (constant.dtype === "float32" && constant.data.length > 1) return input;
      const key = keyOf(constant);
      const first = known.get(key) ?? input;
      known.set(key, first);
      return first;
    });
    return null;
  });
}

function keyOf({ dtype, shape, data }: Tensor): string {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return `${dtype} ${shape.join()} ${bytes.toString("base64")}`;
}

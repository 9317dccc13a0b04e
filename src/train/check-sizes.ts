// Whether the sizes of a graph's values go together: what a change of the input's size can break. Looks at known sizes alone.

import { QdgError } from "../base/error.js";
import {
  consumers,
  type Graph,
  inputOf,
  intAttribute,
  type Node,
  outputOf,
  type Value,
} from "../graph/graph.js";
import { kindOf } from "../graph/node-kinds.js";

/**
 * @throws QdgError naming the node: `invalid-weights` for a weight of another number of channels than its input has, or than what is
 * flattened for it; `invalid-model` for a window that does not fit the space, and any other Reshape to another number of elements
 */
export function checkSizes(graph: Graph): void {
  const uses = consumers(graph);
  for (const node of graph.nodes) {
    const [from, to] = [node.inputs[0], outputOf(node)];
    const channels = kindOf(node) === "weighted" ? channelsOf(node) : null;
    const got = channels && inputOf(node, 0).shape.at(channels.axis);
    if (channels && typeof got === "number" && got !== channels.expected) {
      throw new QdgError(
        "invalid-weights",
        titleOf(node),
        `got ${got} inputs, its weights are for ${channels.expected}`,
      );
    }
    if (to.shape.some((size) => typeof size === "number" && size < 1)) {
      throw new QdgError(
        "invalid-model",
        titleOf(node),
        `does not fit the space: it would give [${to.shape.join(", ")}]`,
      );
    }
    if (node.op !== "Reshape" || !from) continue;
    const [before, after] = [elementsOf(from), elementsOf(to)];
    if (before === null || after === null || before === after) continue;
    const isFlattened = uses.get(to)?.some((reader) => kindOf(reader) === "weighted") === true;
    throw new QdgError(
      isFlattened ? "invalid-weights" : "invalid-model",
      titleOf(node),
      `gets ${before} elements of an image and makes ${after} of them`,
    );
  }
}

function channelsOf(node: Node): { readonly axis: number; readonly expected: number } | null {
  const { shape } = inputOf(node, 1);
  const size = (axis: number): number => shape[axis] as number;
  switch (node.op) {
    case "Conv":
      return { axis: 1, expected: size(1) * intAttribute(node, "group", 1) };
    case "ConvTranspose":
      return { axis: 1, expected: size(0) };
    case "Gemm":
      return { axis: 1, expected: size(intAttribute(node, "transB", 0) === 1 ? 1 : 0) };
    default:
      return { axis: -1, expected: size(0) };
  }
}

/** Of one sample; null where a size is not known, or the first axis is no batch. */
function elementsOf({ shape: [batch, ...rest] }: Value): number | null {
  if (typeof batch === "number" || !rest.every((size) => typeof size === "number")) return null;
  return rest.reduce((product, size) => product * size, 1);
}

function titleOf({ origin, op }: Node): string {
  return `${origin} (${op})`;
}

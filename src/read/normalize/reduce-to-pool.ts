// Means and maxima over all of an image become global pooling, which integers have kernels for.

import { int64 } from "../../base/tensor.js";
import { type Graph, inputOf, intAttribute, intsAttribute, type Node, outputOf } from "../../graph/graph.js";
import { isUnknownRank } from "../../graph/unknown-shape.js";
import { constants } from "../../onnx/shape-facts.js";
import { rewrite } from "./rewrite.js";

const POOLS: Readonly<Record<string, string>> = {
  ReduceMean: "GlobalAveragePool",
  ReduceMax: "GlobalMaxPool",
};

/**
 * `ReduceMean(x, axes 2..)` is a GlobalAveragePool, with a Reshape to [N, C] where the axes do not stay; ReduceMax is a GlobalMaxPool.
 * An AveragePool whose one window is the whole image, and is not padded, is the first of them too.
 */
export function reduceToPool(graph: Graph): Graph {
  return rewrite(graph, (node, tools) => {
    const y = outputOf(node);
    if (node.domain !== "" || y.dtype !== "float32") return null;
    if (node.op === "AveragePool") {
      return isWhole(node) ? [tools.node(node, "GlobalAveragePool", [inputOf(node, 0)], y)] : null;
    }
    const pool = POOLS[node.op];
    if (pool === undefined || !reducesSpace(node)) return null;
    const x = inputOf(node, 0);
    if (intAttribute(node, "keepdims", 1) === 1) return [tools.node(node, pool, [x], y)];
    const pooled = tools.inner(
      y,
      "pooled",
      x.shape.map((dim, axis) => (axis < 2 ? dim : 1)),
    );
    const shape = tools.constant(`${y.name}/shape`, int64([2], [0, -1]));
    return [tools.node(node, pool, [x], pooled), tools.node(node, "Reshape", [pooled, shape], y)];
  });
}

function reducesSpace(node: Node): boolean {
  const { shape } = inputOf(node, 0);
  if (isUnknownRank(shape) || shape.length < 3) return false;
  const axes = constants(node, 1)?.map((axis) => (axis < 0 ? axis + shape.length : axis));
  const spatial = shape.map((_, axis) => axis).slice(2);
  return axes !== undefined && axes.toSorted((a, b) => a - b).join() === spatial.join();
}

function isWhole(node: Node): boolean {
  const { shape } = inputOf(node, 0);
  const kernel = intsAttribute(node, "kernel_shape") ?? [];
  const isPadded = intsAttribute(node, "pads")?.some((pad) => pad !== 0) ?? false;
  const autoPad = node.attributes["auto_pad"] ?? "NOTSET";
  const fits = kernel.length > 0 && kernel.join() === shape.slice(2).join();
  const isDilated = intsAttribute(node, "dilations")?.some((dilation) => dilation !== 1) ?? false;
  return fits && !isPadded && !isDilated && (autoPad === "NOTSET" || autoPad === "VALID");
}

// Folds zero padding into the convolution that reads it, which pads for nothing.

import type { Graph, Node } from "../graph.js";
import { cloneGraph, consumers, inputOf, intsAttribute, outputOf, stringAttribute } from "../graph.js";

/**
 * `Conv(Pad(x, p), pads q) = Conv(x, pads p + q)` for a Pad with zeros over spatial axes, read by convolutions
 * with explicit pads alone. Every other Pad stays.
 */
export function foldPad(graph: Graph): Graph {
  const result = cloneGraph(graph);
  const uses = consumers(result);
  const folded = new Set<Node>();
  for (const node of result.nodes) {
    if (node.op !== "Pad") continue;
    const pads = zeroSpatialPads(node);
    const padded = outputOf(node);
    const readers = uses.get(padded) ?? [];
    if (!pads || result.outputs.includes(padded) || !readers.every((reader) => takesPads(reader, node)))
      continue;
    for (const reader of readers) {
      const own = intsAttribute(reader, "pads");
      reader.attributes = { ...reader.attributes, pads: pads.map((pad, i) => pad + (own?.[i] ?? 0)) };
      reader.inputs = [inputOf(node, 0), ...reader.inputs.slice(1)];
    }
    folded.add(node);
  }
  result.nodes = result.nodes.filter((node) => !folded.has(node));
  return result;
}

/** ONNX pads of the spatial axes: all beginnings, then all ends; null when it pads anything else. */
function zeroSpatialPads(node: Node): number[] | null {
  const pads = node.inputs[1]?.constant;
  const value = node.inputs[2];
  const isZero = !value || Number(value.constant?.data[0] ?? Number.NaN) === 0;
  if (!pads || !isZero || node.inputs[3] || stringAttribute(node, "mode", "constant") !== "constant")
    return null;
  const amounts = Array.from(pads.data as ArrayLike<bigint>, Number);
  const rank = amounts.length / 2;
  const outer = [amounts[0], amounts[1], amounts[rank], amounts[rank + 1]];
  if (rank < 3 || outer.some((amount) => amount !== 0) || amounts.some((amount) => amount < 0)) return null;
  return [...amounts.slice(2, rank), ...amounts.slice(rank + 2)];
}

function takesPads(reader: Node, pad: Node): boolean {
  const readsItOnce = reader.inputs.filter((input) => input === outputOf(pad)).length === 1;
  return (
    reader.op === "Conv" &&
    readsItOnce &&
    inputOf(reader, 0) === outputOf(pad) &&
    stringAttribute(reader, "auto_pad", "NOTSET") === "NOTSET"
  );
}

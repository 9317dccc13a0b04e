// Where a network has its classifier, told by the nodes that its output comes from. Only what is found for sure: a guess would train
// a network that is not the one asked for. Changes nothing.

import {
  consumers,
  type Dim,
  type Graph,
  inputOf,
  intAttribute,
  type Node,
  outputOf,
  type Value,
} from "../graph/graph.js";
import { activationInputs, kindOf } from "../graph/node-kinds.js";

/** The layer that gives one number a class. */
export interface Head {
  readonly kind: "head";
  /** Gemm, MatMul, or a Conv of windows of 1. */
  readonly node: Node;
  readonly classes: number;
  /** Nodes between it and the output, last first. */
  readonly after: readonly Node[];
}

/** "none": neither a head nor features, for the reason given. */
export type FoundHead =
  | Head
  | { readonly kind: "features" }
  | { readonly kind: "none"; readonly reason: string };

/** What a writer knows of the layers that nodes came from. */
export interface HeadLayers {
  /** As messages call the layer. */
  readonly titleOf: (node: Node) => string;
  /** Whether its number of outputs is its to set. */
  readonly canBeHead: (node: Node) => boolean;
}

/** They make probabilities, so that what gives their input gives one number a class. */
export const CLASSIFYING: ReadonlySet<string> = new Set(["Softmax", "LogSoftmax", "Sigmoid"]);
/** They make a vector of a map, one number a channel where the head is right. */
const POOLING: ReadonlySet<string> = new Set([
  "Flatten",
  "Reshape",
  "Squeeze",
  "ReduceMean",
  "GlobalAveragePool",
  "GlobalMaxPool",
  "AveragePool",
]);
const MOVING: ReadonlySet<string> = new Set(["Identity", "Transpose", "Unsqueeze"]);

/**
 * Goes back from the output to the node that decides: the last Gemm or MatMul, or the last 1x1 Conv before pooling or a function of
 * {@link CLASSIFYING}, is the head, unless its own numbers are rectified. What ends in a feature map, in pooling or in a rectified
 * Gemm has none.
 *
 * @param graph with one output
 * @param layers that the nodes are of: one that cannot be a head ends the way as what is no head does
 */
export function findHead(graph: Graph, { titleOf, canBeHead }: HeadLayers): FoundHead {
  const rank = (graph.outputs[0] as Value).shape.length;
  const after: Node[] = [];
  let [classifying, rectified, pooled] = [false, false, false];
  const features = (): FoundHead => {
    if (classifying) return { kind: "none", reason: "what its probabilities come from is neither" };
    if (rank === 4 || (rank === 2 && (pooled || rectified))) return { kind: "features" };
    return {
      kind: "none",
      reason: "nor does it end in features (a feature map, pooling, a rectified Dense)",
    };
  };
  for (const { node, shared } of tailOf(graph)) {
    const isMatrix = node.op === "Gemm" || node.op === "MatMul";
    if (kindOf(node) === "weighted" && (isMatrix || isPointwise(node)) && canBeHead(node)) {
      const gives = isMatrix || pooled || classifying;
      if (!gives || (rectified && !classifying)) return features();
      if (shared) return { kind: "none", reason: `${titleOf(node)} is used elsewhere too` };
      return { kind: "head", node, classes: unitsOf(node), after };
    }
    const kind = kindOf(node);
    if (CLASSIFYING.has(node.op)) classifying = true;
    else if (kind === "rectifier" || kind === "unary" || node.op === "PRelu") rectified = true;
    else if (POOLING.has(node.op)) pooled = true;
    else if (!MOVING.has(node.op) && !addsRow(node)) return features();
    after.push(node);
  }
  return features();
}

/** The nodes that the output comes from, last first, as messages list them: in the order of the network, each layer once. */
export function endOf(graph: Graph, { titleOf }: HeadLayers): readonly string[] {
  // Orders of axes are of no interest.
  const nodes = [...tailOf(graph)].map(({ node }) => node).filter(({ op }) => op !== "Transpose");
  const titles = new Set(nodes.map(titleOf));
  return [...titles].slice(0, 4).toReversed();
}

interface TailNode {
  readonly node: Node;
  /** Something other than the way to the output reads it, or it shares its weight. */
  readonly shared: boolean;
}

/** As long as there is one way back: it ends after a node that reads several values, or whose value others read too. */
function* tailOf(graph: Graph): Generator<TailNode> {
  const uses = consumers(graph);
  const [output] = graph.outputs;
  for (let value = output; value?.producer;) {
    const node: Node = value.producer;
    const weight = kindOf(node) === "weighted" ? inputOf(node, 1) : null;
    const readers = uses.get(value)?.length ?? 0;
    const shared =
      readers !== (value === output ? 0 : 1) || (weight !== null && uses.get(weight)?.length !== 1);
    yield { node, shared };
    const inputs = activationInputs(node);
    if (shared || inputs.length !== 1) return;
    value = inputs[0];
  }
}

/** Numbers that a weighted node gives. */
export function unitsOf(node: Node): number {
  const { shape } = outputOf(node);
  return shape[node.op === "Conv" ? 1 : shape.length - 1] as number;
}

function isPointwise(node: Node): boolean {
  const isDense = node.op === "Conv" && intAttribute(node, "group", 1) === 1;
  return isDense && isAllOnes(inputOf(node, 1).shape.slice(2));
}

function isAllOnes(sizes: readonly Dim[]): boolean {
  return sizes.length > 0 && sizes.every((size) => size === 1);
}

/** The bias of a MatMul. */
function addsRow(node: Node): boolean {
  return node.op === "Add" && node.inputs.some((input) => input?.producer?.op === "MatMul");
}

// Which constants of a graph are weights that training moves, where no layer says it: by the operators that read them.

import { QdgError } from "../base/error.js";
import {
  cloneGraph,
  floatAttribute,
  type Graph,
  inputOf,
  intAttribute,
  type Node,
  outputOf,
  type Value,
  valuesOf,
} from "../graph/graph.js";
import { kindOf } from "../graph/node-kinds.js";

/** A weight and what it is of. */
export interface TrainedConstant {
  /** The first node that reads it. */
  readonly reader: Node;
  /** Whether tfjs has it in the layout of its kernels. */
  readonly isKernel: boolean;
}

/**
 * - weights and biases of Conv, ConvTranspose, Gemm and MatMul, and the row that is added to a MatMul alone; tables of Gather;
 * - scale, offset and statistics of BatchNormalization. One of mean 0, variance 1 and epsilon 0 is a factor that the file spells out,
 *   and has no statistics;
 * - scale and offset of LayerNormalization, slopes of PRelu.
 *
 * Other constants are part of the computation and stay.
 *
 * @throws QdgError `unsupported-layer` for one that is a weight to one node and something else to another
 */
export function trainedConstants(graph: Graph): Map<Value, TrainedConstant> {
  const found = new Map<Value, TrainedConstant>();
  const uses = new Map<Value, string>();
  for (const node of graph.nodes) {
    node.inputs.forEach((value, index) => {
      if (value?.constant?.dtype !== "float32") return;
      const use = useOf(node, index);
      const before = uses.get(value);
      if (before !== undefined && before !== use && (found.has(value) || isTrained(use))) {
        throw new QdgError(
          "unsupported-layer",
          `${node.origin} (${node.op})`,
          `reads ${value.name} as ${use}, and another node as ${before}: training would not know which; give each node a weight of its own`,
        );
      }
      uses.set(value, use);
      if (isTrained(use) && !found.has(value)) {
        found.set(value, { reader: node, isKernel: index === 1 && kindOf(node) === "weighted" });
      }
    });
  }
  return found;
}

const CONSTANT = "a constant";
const VECTORS: ReadonlySet<string> = new Set(["a row", "a statistic"]);

function isTrained(use: string): boolean {
  return use !== CONSTANT;
}

/** What a constant is to a node; equal texts where one variable can be both. */
function useOf(node: Node, index: number): string {
  const kind = kindOf(node);
  if (kind === "weighted" && index === 1) {
    const turned = node.op === "Gemm" && intAttribute(node, "transB", 0) === 1 ? ", transposed" : "";
    return `a weight of ${node.op}${turned} in ${intAttribute(node, "group", 1)} groups`;
  }
  if (kind === "weighted" && index === 2) return "a row";
  if (kind === "lookup" && index === 0) return "a table";
  switch (node.op) {
    case "BatchNormalization":
      if (index < 3) return "a row";
      return isSpelledFactor(node) ? CONSTANT : "a statistic";
    case "LayerNormalization":
    case "PRelu":
      return index > 0 ? "a row" : CONSTANT;
    case "Add": {
      const other = node.inputs[1 - index]?.producer;
      return other?.op === "MatMul" && kindOf(other) === "weighted" ? "a row" : CONSTANT;
    }
    default:
      return CONSTANT;
  }
}

function isSpelledFactor(node: Node): boolean {
  const all = (index: number, x: number): boolean =>
    (inputOf(node, index).constant?.data as Float32Array | undefined)?.every((each) => each === x) === true;
  return floatAttribute(node, "epsilon", 1e-5) === 0 && all(3, 0) && all(4, 1);
}

/**
 * A copy in which no two nodes share a bias, or scale, offset and statistics of a normalization: writers of files store equal
 * ones once, and those of two layers are no longer equal once they are trained. Kernels that are shared are one weight, and stay so.
 */
export function withOwnVectors(graph: Graph): Graph {
  const copy = cloneGraph(graph);
  const names = new Set(valuesOf(copy).map(({ name }) => name));
  const seen = new Set<Value>();
  const trained = new Set<Value>();
  for (const node of copy.nodes) {
    node.inputs = node.inputs.map((value, index) => {
      if (value?.constant?.dtype !== "float32") return value;
      const isVector = VECTORS.has(useOf(node, index));
      const isShared = isVector ? seen.has(value) : trained.has(value);
      seen.add(value);
      if (isVector && !isShared) trained.add(value);
      if (!isShared) return value;
      let name = `${outputOf(node).name}/${value.name}`;
      while (names.has(name)) name += "_";
      names.add(name);
      return { ...value, name };
    });
  }
  return copy;
}

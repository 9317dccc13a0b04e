// Layer normalization that a file spells out becomes one node.

import { float32 } from "../../base/tensor.js";
import { type Graph, inputOf, intAttribute, type Node, outputOf, type Value } from "../../graph/graph.js";
import { constants } from "../../onnx/shape-facts.js";
import { eitherWay, made, numberOf } from "./pattern.js";
import { rewrite } from "./rewrite.js";
import { MOST_CHANNELS } from "./spread.js";

/**
 * `(x - mean) / sqrt(var + epsilon) * gamma + beta` over the last axis, mean and var by ReduceMean, becomes LayerNormalization; so does
 * what has no beta, or neither.
 */
export function spelledLayerNorm(graph: Graph): Graph {
  return rewrite(graph, (node, tools) => {
    const y = outputOf(node);
    const size = y.shape.at(-1);
    if (node.domain !== "" || y.dtype !== "float32" || typeof size !== "number") return null;
    if (size > MOST_CHANNELS) return null;
    if (node.op === "Mul" || node.op === "Div") {
      // What is added or multiplied after it is taken with it.
      const next = tools.onlyReader(y);
      if (next && (next.op === "Mul" || next.op === "Add") && rowBeside(next, y, size)) return null;
    }
    const beta = node.op === "Add" ? withRow(node, size) : null;
    const scaled = node.op === "Add" ? beta?.x : y;
    const product = made(scaled, "Mul");
    const gamma = product && withRow(product, size);
    const found = normalized(gamma ? gamma.x : scaled);
    if (!found || (node.op === "Add" && !beta)) return null;
    const ones = (): Value =>
      tools.constant(`${y.name}/scale`, float32([size], new Float32Array(size).fill(1)));
    const scale = gamma ? gamma.row : ones();
    const inputs = [found.x, scale, ...(beta ? [beta.row] : [])];
    return [
      tools.node(node, "LayerNormalization", inputs, y, { axis: -1, epsilon: { float: found.epsilon } }),
    ];
  });
}

interface WithRow {
  readonly x: Value;
  /** Of the shape [size]. */
  readonly row: Value;
}

function withRow(node: Node, size: number): WithRow | null {
  for (const [x, row] of eitherWay(node)) {
    if (row.constant?.dtype === "float32" && row.shape.length === 1 && row.shape[0] === size)
      return { x, row };
  }
  return null;
}

function rowBeside(node: Node, value: Value, size: number): boolean {
  return withRow(node, size)?.x === value;
}

/** x and epsilon of `(x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon)`. */
function normalized(value: Value | null | undefined): { readonly x: Value; readonly epsilon: number } | null {
  const division = made(value, "Div");
  const centred = division?.inputs[0];
  const difference = made(centred, "Sub");
  const sum = made(made(division?.inputs[1], "Sqrt")?.inputs[0], "Add");
  if (!difference || !centred || !sum) return null;
  const x = inputOf(difference, 0);
  if (meanOf(difference.inputs[1]) !== x) return null;
  for (const [variance, constant] of eitherWay(sum)) {
    const epsilon = numberOf(constant);
    const square = meanOf(variance)?.producer;
    if (epsilon !== null && square && isSquare(square, x)) return { x, epsilon };
  }
  return null;
}

/** What a ReduceMean over the last axis, which stays, is the mean of. */
function meanOf(value: Value | null | undefined): Value | null {
  const mean = made(value, "ReduceMean");
  const x = mean?.inputs[0];
  if (!mean || !x || intAttribute(mean, "keepdims", 1) !== 1) return null;
  const axes = constants(mean, 1);
  if (axes?.length !== 1) return null;
  return axes[0] === -1 || axes[0] === x.shape.length - 1 ? x : null;
}

/** Whether a node squares `x - mean(x)`; some files compute that difference twice. */
function isSquare(node: Node, x: Value): boolean {
  const [base, exponent] = node.inputs;
  const isPower = node.op === "Pow" && numberOf(exponent) === 2;
  const isProduct = node.op === "Mul" && base === exponent;
  const difference = made(base, "Sub");
  return (isPower || isProduct) && difference?.inputs[0] === x && meanOf(difference.inputs[1]) === x;
}

// Dense layers in one form: Gemm with the weight as [K, C] and the bias as [K], as every reader writes them.

import { expectDType, float32, int64, type Tensor, transpose } from "../../base/tensor.js";
import {
  floatAttribute,
  type Graph,
  inputOf,
  intAttribute,
  type Node,
  outputOf,
  type Value,
} from "../../graph/graph.js";
import { isUnknownRank } from "../../graph/unknown-shape.js";
import { productDim } from "../dims.js";
import { rewrite, type RewriteTools } from "./rewrite.js";
import { spreadOver } from "./spread.js";

/**
 * - `Gemm(A, B, C, alpha, beta, transB)` with constant B and C becomes `Gemm(A, alpha op(B), beta C, transB = 1)`. A bias that is no
 *   row of K constants is added after it.
 * - `MatMul(x, B [C, K])`, and `Add(MatMul(x, B), bias)` become Gemm; a matrix of more axes goes through `[rows, C]` and
 *   back, where at most one of its sizes is open.
 */
export function denseToGemm(graph: Graph): Graph {
  const weights = new Map<string, Value>();
  return rewrite(graph, (node, tools) => {
    if (node.domain !== "") return null;
    if (node.op === "Gemm") return fromGemm(node, weights, tools);
    if (node.op === "MatMul" && isDense(node) && !biasAfter(node, tools)) {
      return fromMatMul(node, node, null, weights, tools);
    }
    if (node.op !== "Add") return null;
    const matMul = node.inputs.find((input) => input?.producer?.op === "MatMul")?.producer;
    if (!matMul || !isDense(matMul) || biasAfter(matMul, tools)?.add !== node) return null;
    return fromMatMul(matMul, node, biasAfter(matMul, tools)?.bias ?? null, weights, tools);
  });
}

function isDense(node: Node): boolean {
  const [x, b] = [inputOf(node, 0), inputOf(node, 1)];
  if (b.constant?.dtype !== "float32" || b.shape.length !== 2 || x.constant) return false;
  if (isUnknownRank(x.shape) || x.shape.length < 2) return false;
  return x.shape.slice(0, -1).filter((dim) => typeof dim === "string").length <= 1;
}

/** The Add of a constant row that alone reads the product. */
function biasAfter(
  matMul: Node,
  { onlyReader }: RewriteTools,
): { readonly add: Node; readonly bias: Float32Array } | null {
  const product = outputOf(matMul);
  const add = onlyReader(product);
  if (add?.op !== "Add") return null;
  const [a, b] = [inputOf(add, 0), inputOf(add, 1)];
  const constant = (a === product ? b : a).constant;
  const units = inputOf(matMul, 1).shape[1] as number;
  const bias = constant && spreadOver(constant, product.shape.length, product.shape.length - 1, units);
  return bias ? { add, bias } : null;
}

function fromMatMul(
  matMul: Node,
  last: Node,
  bias: Float32Array | null,
  weights: Map<string, Value>,
  tools: RewriteTools,
): Node[] {
  const [x, b] = [inputOf(matMul, 0), inputOf(matMul, 1)];
  const y = outputOf(last);
  const [channels, units] = b.shape as readonly [number, number];
  const weight = weightOf(b, false, 1, weights, tools);
  const more = bias ? [tools.constant(`${matMul.origin}/bias`, float32([units], bias))] : [];
  const leading = x.shape.slice(0, -1);
  if (leading.length === 1) return [tools.node(matMul, "Gemm", [x, weight, ...more], y, { transB: 1 })];
  const rows = productDim(leading);
  const flat = tools.inner(y, "rows", [rows, channels]);
  const sum = tools.inner(y, "flat", [rows, units]);
  const shape = (name: string, sizes: readonly number[]): Value =>
    tools.constant(`${y.name}/${name}`, int64([sizes.length], sizes));
  const back = [...leading.map((dim) => (typeof dim === "number" ? dim : -1)), units];
  return [
    tools.node(matMul, "Reshape", [x, shape("rows_shape", [-1, channels])], flat),
    tools.node(matMul, "Gemm", [flat, weight, ...more], sum, { transB: 1 }),
    tools.node(matMul, "Reshape", [sum, shape("shape", back)], y),
  ];
}

function fromGemm(node: Node, weights: Map<string, Value>, tools: RewriteTools): readonly Node[] | null {
  const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
  const c = node.inputs[2] ?? null;
  const alpha = Math.fround(floatAttribute(node, "alpha", 1));
  const beta = Math.fround(floatAttribute(node, "beta", 1));
  const isTransposed = intAttribute(node, "transB", 0) !== 0;
  if (b.constant?.dtype !== "float32" || b.shape.length !== 2) return null;
  if (intAttribute(node, "transA", 0) !== 0 || (c && c.constant?.dtype !== "float32")) return null;
  const units = b.shape[isTransposed ? 0 : 1] as number;
  const bias = c?.constant ? spreadOver(c.constant, 2, 1, units) : null;
  if (c && !bias) return null;
  const isPlain =
    isTransposed && alpha === 1 && (!c || (beta === 1 && c.shape.length === 1 && c.shape[0] === units));
  if (isPlain) return null;
  const weight = weightOf(b, isTransposed, alpha, weights, tools);
  const inputs = [a, weight];
  if (bias && c) {
    const scaled = bias.map((x) => x * beta);
    inputs.push(tools.constant(`${c.name}/row`, float32([units], scaled)));
  }
  return [tools.node(node, "Gemm", inputs, outputOf(node), { transB: 1 })];
}

/** The weight as [K, C], once for all that read it. */
function weightOf(
  b: Value,
  isTransposed: boolean,
  alpha: number,
  weights: Map<string, Value>,
  tools: RewriteTools,
): Value {
  if (isTransposed && alpha === 1) return b;
  const key = `${b.name} ${isTransposed} ${alpha}`;
  const known = weights.get(key);
  if (known) return known;
  const matrix = expectDType(b.constant as Tensor, "float32", b.name);
  const turned = isTransposed ? matrix : transpose(matrix, [1, 0]);
  const scaled =
    alpha === 1
      ? turned
      : float32(
          turned.shape,
          turned.data.map((x) => x * alpha),
        );
  const weight = tools.constant(`${b.name}/transposed`, scaled);
  weights.set(key, weight);
  return weight;
}

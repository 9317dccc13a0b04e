// A graph as text, for people and for snapshots in tests: the same graph always prints the same.

import type { Tensor } from "../base/tensor.js";
import type { Quantization } from "../quant/spec.js";
import type { Attribute, Dim, Graph, Node, Value } from "./graph.js";

/** Constants of up to so many elements are printed with them, longer ones with their shape. */
const FEW = 6;

/**
 * One line a node, in order:
 * `output: type[shape] <quantization> = Op(inputs) {attributes} @origin`. A constant stands where it is used, as
 * `name: type[shape]`, with its elements when they are few; `_` is an input left out; `@origin` is left out where
 * it is the output's name.
 */
export function printGraph(graph: Graph): string {
  const lines = [
    `graph ${graph.name}(${graph.inputs.map(declaration).join(", ")})`,
    ...graph.nodes.map((node) => `  ${nodeLine(node)}`),
    `  return ${graph.outputs.map((output) => (output.constant ? operand(output) : output.name)).join(", ")}`,
  ];
  return `${lines.join("\n")}\n`;
}

function nodeLine(node: Node): string {
  const outputs = node.outputs.map(declaration).join(", ");
  const op = node.domain === "" ? node.op : `${node.domain}.${node.op}`;
  const inputs = node.inputs.map((input) => (input ? operand(input) : "_")).join(", ");
  const attributes = Object.entries(node.attributes)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${attributeText(value)}`);
  const braces = attributes.length > 0 ? ` {${attributes.join(", ")}}` : "";
  const origin = node.origin === node.outputs[0]?.name ? "" : ` @${node.origin}`;
  return `${outputs} = ${op}(${inputs})${braces}${origin}`;
}

function declaration(value: Value): string {
  return `${value.name}: ${typeText(value)}${annotations(value)}`;
}

function operand(value: Value): string {
  if (!value.constant) return value.name;
  const elements = value.constant.data.length <= FEW ? ` = ${elementsText(value.constant)}` : "";
  return `${value.name}: ${typeText(value)}${annotations(value)}${elements}`;
}

function typeText(value: { readonly dtype: string; readonly shape: readonly Dim[] }): string {
  return `${value.dtype}[${value.shape.join(",")}]`;
}

function annotations(value: Value): string {
  const factor = value.channelFactor
    ? ` <factor axis=${value.channelFactor.axis} ${rangeText(value.channelFactor.factors)}>`
    : "";
  return factor + (value.quantization ? ` <${quantizationText(value.quantization)}>` : "");
}

function quantizationText({ spec, params }: Quantization): string {
  const parts = [`${spec.signed ? "s" : "u"}${spec.bits}`];
  if (spec.narrowRange) parts.push("narrow");
  if (spec.axis !== null) parts.push(`axis=${spec.axis}`);
  parts.push(`scale=${rangeText(params.scale)}`);
  if (params.zeroPoint.some((zeroPoint) => zeroPoint !== 0))
    parts.push(`zero=${rangeText(params.zeroPoint)}`);
  return parts.join(" ");
}

/** The number itself, or the lowest and highest of several. */
function rangeText(numbers: Float32Array | Int32Array): string {
  if (numbers.length === 0) return "none";
  let low = Infinity;
  let high = -Infinity;
  for (const each of numbers) {
    low = Math.min(low, each);
    high = Math.max(high, each);
  }
  return low === high ? numberText(low) : `${numberText(low)}..${numberText(high)}`;
}

function attributeText(value: Attribute): string {
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if ("float" in value) return floatText(value.float);
  if ("dtype" in value) {
    return value.data.length <= FEW ? `${typeText(value)} ${elementsText(value)}` : typeText(value);
  }
  return `[${value.map((item) => (typeof item === "string" ? JSON.stringify(item) : String(item))).join(",")}]`;
}

function elementsText(constant: Tensor): string {
  const texts = Array.from(constant.data as ArrayLike<number | bigint>, (item) => numberText(item));
  return constant.shape.length === 0 ? (texts[0] ?? "") : `[${texts.join(",")}]`;
}

/** Six digits are enough to tell numbers apart by eye; float32 in full is unreadable. */
function numberText(value: number | bigint): string {
  if (typeof value === "bigint" || Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(6)));
}

/** Not to be taken for an int. */
function floatText(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : numberText(value);
}

// Whether the numbers of an output are probabilities, told by the operators that they come from: the one rule for export,
// for commands and for pages. Where operators do not tell, it says so; it takes nothing for logits on a guess.

import type { Dim } from "../graph/graph.js";

/**
 * What the numbers of one sample are.
 *
 * - `softmax`: probabilities of classes of which one is right; they add up to 1.
 * - `sigmoid`: probabilities that have nothing to do with each other, each in 0..1.
 * - `logits`: real numbers whose softmax are probabilities of the first kind. Logarithms of such are logits too.
 * - `values`: anything else, as a regression, a tanh, or one real number.
 */
export const OUTPUT_KINDS = ["softmax", "sigmoid", "logits", "values"] as const;
export type OutputKind = (typeof OUTPUT_KINDS)[number];

/** What the rule looks at; a Value of a Graph is one. */
export interface NetworkValue {
  /** Of the batch first. */
  readonly shape: readonly Dim[];
  /** Absent for inputs of the network and for constants. */
  readonly producer?: NetworkNode;
  readonly constant?: unknown;
}

export interface NetworkNode {
  /** The ONNX operator. */
  readonly op: string;
  /** "" for operators of ONNX itself. */
  readonly domain: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly inputs: readonly (NetworkValue | null)[];
}

/** They give the numbers on as they are. */
const MOVES: ReadonlySet<string> = new Set([
  "Identity",
  "Cast",
  "Reshape",
  "Flatten",
  "Squeeze",
  "Unsqueeze",
  "Transpose",
  "Dropout",
  "QuantizeLinear",
  "DequantizeLinear",
]);

/** What comes of them are weighted sums. */
const WEIGHTED: ReadonlySet<string> = new Set([
  "Gemm",
  "MatMul",
  "Conv",
  "ConvTranspose",
  "QLinearConv",
  "QLinearMatMul",
  "ConvInteger",
  "MatMulInteger",
]);

/** Logits stay logits after them when all other operands are constants; probabilities stay nothing. */
const AFFINE: ReadonlySet<string> = new Set([
  "Add",
  "Sub",
  "Mul",
  "Div",
  "BatchNormalization",
  "GlobalAveragePool",
  "AveragePool",
  "ReduceMean",
]);

/** Far more than follow the last layer of a classifier. */
const MOST_STEPS = 64;

/**
 * Walks back from an output over what only moves numbers.
 *
 * A softmax counts when it runs over all numbers of a sample: one over a part of them, reshaped afterwards, makes
 * `values`. One number of a sample is a probability only after a sigmoid.
 */
export function outputKindOf(output: NetworkValue): OutputKind {
  const kind = lastFunction(output);
  const single = numbersOfSample(output.shape) === 1;
  return single && kind !== "sigmoid" ? "values" : kind;
}

/** Numbers of one sample, whatever the batch; null where a size is open. */
export function numbersOfSample(shape: readonly Dim[]): number | null {
  let count = 1;
  for (const dim of shape.slice(1)) {
    if (typeof dim !== "number" || dim < 1) return null;
    count *= dim;
  }
  return shape.length < 2 ? null : count;
}

function lastFunction(output: NetworkValue): OutputKind {
  let at = output;
  let changed = false;
  let logarithm = false;
  // Between DequantizeLinear and QuantizeLinear, where a Clip only says how many bits integers have.
  let stored = false;
  for (let step = 0; step < MOST_STEPS; step++) {
    const node = at.producer;
    if (!node || node.domain !== "") return "values";
    const { op } = node;
    if (WEIGHTED.has(op)) return logarithm ? "values" : "logits";
    if (op === "Sigmoid" || op === "HardSigmoid") return changed || logarithm ? "values" : "sigmoid";
    if (op === "Softmax" || op === "LogSoftmax") {
      if (!coversSample(node, at.shape)) return "values";
      if (op === "LogSoftmax") return logarithm ? "values" : "logits";
      return logarithm ? "logits" : changed ? "values" : "softmax";
    }
    const [first = null, ...others] = computed(node);
    if (first === null || others.length > 0) return "values";
    if (op === "DequantizeLinear" || op === "QuantizeLinear") stored = op === "DequantizeLinear";
    if (op === "Log" && !logarithm) logarithm = true;
    else if (AFFINE.has(op) && !logarithm) changed = true;
    else if (!MOVES.has(op) && !(op === "Clip" && stored)) return "values";
    at = first;
  }
  return "values";
}

/** Inputs that depend on an input of the network; the others are weights, on their way out of storage perhaps. */
function computed({ inputs }: NetworkNode): NetworkValue[] {
  return inputs.filter((input): input is NetworkValue => input !== null && dependsOnInput(input));
}

function dependsOnInput(value: NetworkValue): boolean {
  const seen = new Set<NetworkValue>([value]);
  for (const each of seen) {
    if (each.constant !== undefined) continue;
    if (!each.producer) return true;
    for (const input of each.producer.inputs) if (input !== null) seen.add(input);
  }
  return false;
}

/** Whether the axis of a softmax holds all numbers of a sample; -1 where none is given, as ONNX has it. */
function coversSample({ attributes }: NetworkNode, shape: readonly Dim[]): boolean {
  const axis = Number(attributes["axis"] ?? -1);
  const along = axis < 0 ? axis + shape.length : axis;
  return along > 0 && along < shape.length && shape.every((dim, i) => i === 0 || i === along || dim === 1);
}

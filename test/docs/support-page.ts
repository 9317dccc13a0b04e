// docs/support.md out of the reader and the table of node kinds: every layer is read within a small network, and
// what became of it is told.

import { float32 } from "../../src/base/tensor.js";
import { kernelOf } from "../../src/compute/kernel.js";
import { ALL_OPERATORS } from "../../src/compute/operators.js";
import { type Graph, type Node, stringAttribute, type Value } from "../../src/graph/graph.js";
import { FLOAT_PASSES, runPasses } from "../../src/graph/passes/pipelines.js";
import { kindOf, type NodeKind } from "../../src/graph/node-kinds.js";
import { MAX_OPSET, operator, operatorNames } from "../../src/onnx/opset.js";
import { OLDER_FORMS } from "../../src/read/onnx/older/older.js";
import { MIN_READ_OPSET, QUANTIZED } from "../../src/read/onnx/unsupported.js";
import { readLayersModel } from "../../src/read/layers-model.js";
import { OPS } from "../../src/read/graph-model/ops.js";
import { LAYERS, REFUSED_LAYERS } from "../../src/read/layers.js";
import { parseSaved } from "../support/layers-models.js";
import {
  ACTIVATION_SAMPLES,
  activationSample,
  LAYER_SAMPLES,
  type LayerSample,
  savedSample,
} from "./layer-samples.js";
import { table } from "./markdown.js";

/** What a kind is to a reader of the page. */
const SAYS: Readonly<Record<NodeKind, string>> = {
  weighted: "integer sums, an integer kernel on CPU and WebAssembly",
  lookup: "a quantized table",
  rectifier: "a clip of integers, part of the kernel before it",
  unary: "an exact table of integers",
  "same-scale": "on integers of one scale",
  "shared-operands": "a sum of integers of one scale",
  product: "on integers",
  pool: "integer sums",
  rearranging: "integers move as they are",
  float: "in float between quantizers",
};

export async function supportPage(): Promise<string> {
  const rows: string[][] = [];
  for (const className of [...LAYERS.keys()].sort((a, b) => a.localeCompare(b, "en"))) {
    if (className === "Activation") continue;
    const sample = LAYER_SAMPLES[className];
    if (!sample) throw new Error(`${className} has no sample in test/docs/layer-samples.ts`);
    rows.push([className, ...(await becomes(sample))]);
  }
  const activations: string[][] = [];
  for (const name of ACTIVATION_SAMPLES) activations.push([name, ...(await becomes(activationSample(name)))]);
  return [
    "# What is supported",
    "",
    "Made by `npm run docs`: each layer is read within a small network, and this is what becomes of it. `qdg inspect` says the same of a file, layer by layer.",
    "",
    "## Layers",
    "",
    table(["layer", "ONNX operators", "inside a quantized network"], rows),
    "",
    "ReLU with `negativeSlope` or `threshold` is a table too. UpSampling2D with bilinear interpolation, average pooling whose padding does not count in the mean, and a",
    "Dot that normalizes run in float. Values that run in float between quantizers are added up in an order of the runtime's own: one next to a tie may differ by a step.",
    "",
    "## Activations",
    "",
    "As a layer of their own, and as the `activation` of another.",
    "",
    table(["activation", "ONNX operators", "inside a quantized network"], activations),
    "",
    "## Operators of graph-models",
    "",
    `By their TensorFlow names, ${OPS.size} of them. Each is compared with tfjs in \`test/read/graph-model\`, on random shapes and attributes. A graph-model that has others is refused with the`,
    "names of all of their nodes.",
    "",
    [...OPS.keys()].sort((a, b) => a.localeCompare(b, "en")).join(", "),
    "",
    "Control flow is run when the model is read: a branch whose condition is constant is taken, a loop whose condition is constant in each turn is unrolled (1,000 turns at most). What the data decide is",
    "refused by node. If, StatelessIf, While, StatelessWhile, Switch and Merge, the loops of TensorFlow 1 (Enter, LoopCond, NextIteration, Exit), and the functions of the model.",
    "",
    "## Refused layers",
    "",
    "By name, with the reason; nothing is approximated silently. So is a key of a layer's config that is not known.",
    "",
    table(
      ["layer", "why"],
      [...REFUSED_LAYERS].map(([name, why]) => [name, why]),
    ),
    "",
    "## Operators of ONNX files",
    "",
    `Float models of opset ${MIN_READ_OPSET} to ${MAX_OPSET}, and such with QuantizeLinear and DequantizeLinear in them ([scales](learned-scales.md)). Everything that is not in this table is refused, all of it at once, with`,
    "the names of the nodes: other domains, control flow, networks of integers. Functions in the file are inlined. What runs in float and has no mark in the last column is not compared with the reference when a file is written.",
    "",
    "Of the 1,884 official tests of operators that onnx 1.23.2 carries (`bench/onnx/node-tests.ts`, the model read, written as a float file and run by ONNX Runtime) 1,109 give what the test says, and 2 what ONNX Runtime",
    "gives for the test's own file; 740 are refused by name, 474 of them by ONNX Runtime too; 33 are read and ONNX Runtime has no kernel for what is written. None is wrong. Of the 751 with float32 in and out: 606, 2, 140 (89), 3.",
    "",
    table(
      ["operator", "since opset", "inside a quantized network", "with a constant operand", "reference"],
      operatorRows(),
    ),
    "",
    MODELS,
  ].join("\n");
}

/** The ONNX operators of the float graph, and what they are to quantization. */
async function becomes(sample: LayerSample): Promise<[string, string]> {
  const { json, weights } = parseSaved(await savedSample(sample));
  const source = readLayersModel(json, weights);
  const read = nodesOf(source);
  // Between channels last and first the reader transposes; that is no layer's own, unless it is all there is.
  const isOwn = ({ op }: Node): boolean =>
    op !== "Transpose" || read.every((node) => node.op === "Transpose");
  const ops = read.filter(isOwn).map(({ op }) => op);
  const nodes = nodesOf(runPasses(source, FLOAT_PASSES)).filter(isOwn);
  if (ops.length === 0) return ["", "nothing at inference"];
  const told = [...new Set(ops)].join(", ");
  if (nodes.length === 0) return [told, "folds into the layer before it"];
  // What computes says more than what only moves around it.
  const computing = nodes.filter((node) => kindOf(node) !== "rearranging");
  const kinds = (computing.length > 0 ? computing : nodes).map(says);
  return [told, [...new Set(kinds)].join("; ")];
}

/** What passes make of an operator before quantization meets it. */
const BECOMES: Readonly<Record<string, string>> = {
  BatchNormalization: "folds into the layer before it, or is a convolution of integers",
  Clip: "a clip of integers where 0 is within its bounds, else a table",
  Constant: "a constant",
  Dropout: "nothing at inference",
  Split: "integers move as they are",
};

function operatorRows(): string[][] {
  const older = OLDER_FORMS.map(({ op }) => op);
  const names = [...new Set([...operatorNames(), ...older])].filter((op) => !QUANTIZED.has(op));
  return names.sort().map((op) => {
    const forms = OLDER_FORMS.filter((form) => form.op === op).map(({ since }) => since);
    const since = Math.max(MIN_READ_OPSET, Math.min(operator(op)?.since ?? MAX_OPSET, ...forms));
    const node = (isConstant: boolean): Node => {
      const [a, b] = [valueOf(false), valueOf(isConstant)];
      return { op, domain: "", attributes: {}, inputs: [a, b], outputs: [], origin: op };
    };
    const [computed, constant] = [kindOf(node(false)), kindOf(node(true))];
    const takesTwo = (operator(op)?.inputs[1] ?? 1) > 1;
    return [
      op,
      String(since),
      BECOMES[op] ?? SAYS[computed],
      takesTwo && constant !== computed && !BECOMES[op] ? SAYS[constant] : "",
      isComputed(node(false)) ? "yes" : "",
    ];
  });
}

function valueOf(isConstant: boolean): Value {
  const value: Value = { name: "x", dtype: "float32", shape: [1, 1] };
  return isConstant ? { ...value, constant: float32([1, 1], [1]) } : value;
}

function isComputed(node: Node): boolean {
  try {
    kernelOf(node, ALL_OPERATORS);
    return true;
  } catch {
    return false;
  }
}

function says(node: Node): string {
  const kind = kindOf(node);
  if (kind === "weighted" && node.op === "ConvTranspose") return "integer sums, held in float32";
  if (node.op === "Resize" && stringAttribute(node, "mode", "nearest") !== "nearest") return SAYS.float;
  return SAYS[kind];
}

function nodesOf(graph: Graph): Node[] {
  return graph.nodes.filter(({ origin }) => origin === "sample");
}

const MODELS = `## Models

Sequential and functional models in any nesting, layers called more than once, several inputs and outputs, \`channelsFirst\`, open batch, open height and width;
Keras 2 and Keras 3 layers-models, and graph-models, as tfjs and the TensorFlow.js converter write them; Teachable Machine's image, audio and pose models. Float ONNX models as PyTorch exports them, in float32 or float16; MLPs, linear models and pipelines with scalers as skl2onnx writes them. Weights in any number of shards, also
quantized to \`float16\`, \`uint8\` or \`uint16\` in the manifest.

## Runtimes

| target                            | runs on                                                              |
| --------------------------------- | -------------------------------------------------------------------- |
| \`cpu\`, \`wasm\`                     | onnxruntime-node and onnxruntime-web, from one file                  |
| \`webgpu\`                          | onnxruntime-node's WebGPU, from a file of its own                    |
| \`engine\`                          | qdg's own kernels on WebAssembly, in Node, from the same file        |
| \`browser-wasm\`, \`browser-webgpu\`  | onnxruntime-web in Chromium, Chrome or Edge                          |
| \`float\` (or \`tfjs\`), \`reference\` | the float model by tfjs or ONNX Runtime, and a plain interpreter: what the others are judged by |

Measured with ONNX Runtime 1.30. Another version may fuse other patterns: \`qdg parity\` tells.
`;

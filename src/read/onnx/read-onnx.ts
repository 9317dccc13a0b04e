// An ONNX model in real numbers as a graph: older operators in today's form, functions inlined, what exporters spell out in
// one node. Pure: no file is touched here.

import { QdgError } from "../../base/error.js";
import type { Dim, Graph, Node, Value } from "../../graph/graph.js";
import { valuesOf } from "../../graph/graph.js";
import { kindOf } from "../../graph/node-kinds.js";
import { isUnknownRank, UNKNOWN_DIM, UNKNOWN_SHAPE } from "../../graph/unknown-shape.js";
import type { ModelProto } from "../../onnx/model-proto.js";
import { operator } from "../../onnx/opset.js";
import { modelToGraph } from "../../onnx/to-graph.js";
import { nameDims } from "../dims.js";
import { normalize } from "../normalize/pipeline.js";
import { inSingle } from "./half.js";
import { upgradeNode } from "./older/older.js";
import { checkSupported } from "./unsupported.js";

/**
 * Reads a float model of opset 7 to 26, all its tensors inside.
 *
 * Inputs and outputs keep names, order and shapes; a size without a name gets one (N, H, W). A layer's `origin` is the name of
 * its node. Initializers that are inputs too are constants. What is float16 in the file is float32 here (`half.ts`).
 *
 * @throws QdgError what {@link checkSupported} and {@link modelToGraph} throw; `unsupported-op` for values whose rank the
 * operators do not tell, where integers are to stand; `invalid-weights` for weights that are not finite
 */
export function readOnnx(model: ModelProto, where: string): Graph {
  checkSupported(model, where);
  return asRead(raise(model), where);
}

/** As the file has it, in the operators of today. @throws QdgError as {@link readOnnx}, but for shapes and weights */
export function raise(model: ModelProto): Graph {
  const raised = modelToGraph(inSingle(model).model, { upgrade: upgradeNode });
  for (const node of raised.nodes) {
    checkCounts(node);
    if (node.op === "Dropout") checkDropout(node);
  }
  raised.inputs.forEach((input, index) => nameSizes(input, index));
  return { ...raised, name: raised.name || "model" };
}

/** Normalized. @throws QdgError for shapes that are not known and weights that are not finite, as {@link readOnnx} */
export function asRead(raised: Graph, where: string): Graph {
  const declared = raised.outputs.map(({ shape }) => shape);
  const graph = normalize(raised);
  checkShapes(graph, where);
  graph.outputs.forEach((output, index) => checkDeclared(output, declared[index] ?? UNKNOWN_SHAPE));
  for (const node of graph.nodes) checkFinite(node);
  return graph;
}

/** @throws QdgError `invalid-onnx` for fewer or more inputs and outputs than the operator has */
function checkCounts({ op, inputs, outputs, origin }: Node): void {
  const known = operator(op);
  if (!known) return;
  const counts = [
    ["inputs", inputs, known.inputs],
    ["outputs", outputs, known.outputs],
  ] as const;
  for (const [what, { length }, [min, max]] of counts) {
    if (length >= min && length <= max) continue;
    const expected = min === max ? min : `${min} to ${max}`;
    throw new QdgError("invalid-onnx", `${origin} (${op})`, `has ${length} ${what}, expected ${expected}`);
  }
  const missing = inputs.slice(0, known.inputs[0]).indexOf(null);
  if (missing < 0) return;
  throw new QdgError(
    "invalid-onnx",
    `${origin} (${op})`,
    `input ${missing} is left out, which it may not be`,
  );
}

/** Leaves out the input that says that it does not train. @throws QdgError `unsupported-op` where it does, or may */
function checkDropout(node: Node): void {
  const mode = node.inputs[2];
  if (!mode) return;
  if (mode.constant?.data[0] !== 0) {
    throw new QdgError(
      "unsupported-op",
      `${node.origin} (Dropout)`,
      "is in training mode, or may be: its result is random; export the model for inference",
    );
  }
  node.inputs = node.inputs.slice(0, 2);
}

function nameSizes(input: Value, index: number): void {
  const { shape, name } = input;
  if (isUnknownRank(shape)) {
    throw new QdgError("unsupported-op", `input ${name}`, "has no shape in the file; export it with one");
  }
  if (!shape.includes(UNKNOWN_DIM)) return;
  const names = nameDims(
    shape.map(() => null),
    index,
    true,
  );
  input.shape = shape.map((dim, axis) => (dim === UNKNOWN_DIM ? (names[axis] ?? dim) : dim));
}

/** Quantizers and forms look at ranks: of operators that merely run in float nothing need be known. */
function checkShapes(graph: Graph, where: string): void {
  const unknown = graph.nodes.filter(
    (node) =>
      kindOf(node) !== "float" && [...node.inputs, ...node.outputs].some((value) => value && isOpen(value)),
  );
  const wide = valuesOf(graph).filter(({ dtype }) => dtype === "float16" || dtype === "float64");
  const [first] = unknown;
  if (first) {
    throw new QdgError(
      "unsupported-op",
      where,
      `the rank of what enters or leaves ${listed(unknown)} cannot be told from the file; export it with fixed sizes, or simplify it`,
    );
  }
  if (wide.length > 0) {
    throw new QdgError(
      "unsupported-op",
      where,
      `computes in ${wide[0]?.dtype}, as at ${wide[0]?.name}, expected float32; export it in that type`,
    );
  }
}

/** @throws QdgError `invalid-onnx` for an output whose sizes are others than those that follow from the inputs */
function checkDeclared({ name, shape, producer }: Value, declared: readonly Dim[]): void {
  if (isUnknownRank(declared) || isUnknownRank(shape)) return;
  const differs = (dim: Dim, axis: number): boolean => {
    const told = shape[axis];
    return typeof dim === "number" && typeof told === "number" && dim !== told;
  };
  if (declared.length === shape.length && !declared.some(differs)) return;
  throw new QdgError(
    "invalid-onnx",
    producer ? `${producer.origin} (${producer.op})` : name,
    `output ${name}: got [${declared.join(", ")}] in the file, expected [${shape.join(", ")}], which its inputs give; export the model again`,
  );
}

/** Masks may hold an infinity; what is added up may not. @throws QdgError `invalid-weights` */
function checkFinite(node: Node): void {
  const isSum = kindOf(node) === "weighted" || kindOf(node) === "lookup" || node.op === "BatchNormalization";
  for (const input of isSum ? node.inputs : []) {
    const { data, dtype } = input?.constant ?? {};
    if (dtype !== "float32" || !data) continue;
    const index = (data as Float32Array).findIndex((x) => !Number.isFinite(x));
    if (index < 0) continue;
    throw new QdgError(
      "invalid-weights",
      `${node.origin} (${node.op})`,
      `weight ${input?.name}[${index}]: got ${data[index]}, expected a finite number; the training that made it diverged`,
    );
  }
}

function isOpen({ dtype, shape }: Value): boolean {
  return dtype === "float32" && isUnknownRank(shape);
}

function listed(nodes: readonly Node[]): string {
  const names = nodes.slice(0, 3).map(({ origin, op }) => `${origin} (${op})`);
  return names.join(", ") + (nodes.length > 3 ? ` and ${nodes.length - 3} more nodes` : "");
}

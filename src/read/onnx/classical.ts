// What of traditional machine learning is a layer: scalers and linear models as operators of networks. Trees, support vectors and the
// like are left, for the list of what is not taken.

import { QdgError } from "../../base/error.js";
import { float32, int64, transpose } from "../../base/tensor.js";
import { isStandardDomain } from "../../onnx/expansion.js";
import { attributeProto } from "../../onnx/from-graph.js";
import type { AttributeProto, ModelProto, NodeProto, TensorProto } from "../../onnx/model-proto.js";
import type { Attribute } from "../../graph/graph.js";
import { tensorToProto } from "../../onnx/tensor-proto.js";
import { CLASSICAL_DOMAIN } from "./class-labels.js";

/** From these opsets on reductions take their axes as an input. */
const AXES_OF_SUMS = 13;
const AXES_OF_NORMS = 18;
/** The least normal float32: what a norm is divided by at least. */
const TINY = 2 ** -126;

/**
 * | operator | formula |
 * |---|---|
 * | Scaler | `(x - offset) scale` |
 * | Normalizer | `x / max(norm, 2^-126)`, of L1 or L2 |
 * | LinearRegressor | `x coefficients^T + intercepts` |
 * | LinearClassifier | that, then its softmax or sigmoids; the class that it names is left out |
 *
 * @throws QdgError `unsupported-op` naming the node and the attribute that is not taken
 */
export function withoutClassical(model: ModelProto): ModelProto {
  const nodes = model.graph?.node ?? [];
  if (!model.graph || !nodes.some(({ domain }) => domain === CLASSICAL_DOMAIN)) return model;
  const opset = Number(model.opsetImport?.find(({ domain }) => isStandardDomain(domain))?.version ?? 1);
  const constants: TensorProto[] = [];
  const node = nodes.flatMap((each) => {
    const spell = each.domain === CLASSICAL_DOMAIN ? SPELLINGS[each.opType ?? ""] : undefined;
    return spell ? spell(new Spelling(each, opset, constants)) : [each];
  });
  return {
    ...model,
    graph: { ...model.graph, node, initializer: [...(model.graph.initializer ?? []), ...constants] },
  };
}

class Spelling {
  readonly #opset: number;
  readonly #node: NodeProto;
  readonly #constants: TensorProto[];
  readonly #attributes: ReadonlyMap<string, AttributeProto>;

  constructor(node: NodeProto, opset: number, constants: TensorProto[]) {
    this.#opset = opset;
    this.#node = node;
    this.#constants = constants;
    this.#attributes = new Map((node.attribute ?? []).map((each) => [each.name ?? "", each]));
  }

  get x(): string {
    return this.#node.input?.[0] ?? "";
  }

  output(index: number): string {
    return this.#node.output?.[index] ?? "";
  }

  floats(name: string): readonly number[] {
    return this.#attributes.get(name)?.floats ?? [];
  }

  int(name: string, otherwise: number): number {
    return Number(this.#attributes.get(name)?.i ?? otherwise);
  }

  labels(): number {
    const strings = this.#attributes.get("classlabels_strings")?.strings?.length ?? 0;
    return strings > 0 ? strings : (this.#attributes.get("classlabels_ints")?.ints?.length ?? 0);
  }

  text(name: string, otherwise: string): string {
    const { s } = this.#attributes.get(name) ?? {};
    return s ? new TextDecoder().decode(s) : otherwise;
  }

  fail(what: string): never {
    const { name, opType = "", output = [] } = this.#node;
    throw new QdgError("unsupported-op", `${name || (output[0] ?? "")} (${opType})`, what);
  }

  row(what: string, numbers: readonly number[]): string {
    return this.constant(what, tensorToProto(float32([numbers.length], numbers)));
  }

  constant(what: string, tensor: TensorProto): string {
    const name = `${this.output(this.#node.opType === "LinearClassifier" ? 1 : 0)}/${what}`;
    this.#constants.push({ ...tensor, name });
    return name;
  }

  /** A reduction of each row to one number. */
  overRow(opType: string, axesAsInput: number, x: string, y: string): NodeProto {
    return this.#opset < axesAsInput
      ? this.node(opType, [x], y, { axes: [1], keepdims: 1 })
      : this.node(opType, [x, this.constant("axes", tensorToProto(int64([1], [1])))], y, { keepdims: 1 });
  }

  node(
    opType: string,
    input: readonly string[],
    output: string,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): NodeProto {
    const { name } = this.#node;
    const attribute = Object.entries(attributes).map(([key, value]) => attributeProto(key, value));
    return { opType, input, output: [output], attribute, ...(name ? { name: `${name}/${opType}` } : {}) };
  }
}

const SPELLINGS: Readonly<Record<string, (spelling: Spelling) => NodeProto[]>> = {
  Scaler(each) {
    const [offset, scale] = [each.floats("offset"), each.floats("scale")];
    const y = each.output(0);
    const moved = `${y}/moved`;
    if (offset.length === 0 || scale.length === 0) return each.fail("has no offset or no scale");
    return [
      each.node("Sub", [each.x, each.row("offset", offset)], moved),
      each.node("Mul", [moved, each.row("scale", scale)], y),
    ];
  },

  Normalizer(each) {
    const norm = each.text("norm", "MAX");
    if (norm !== "L1" && norm !== "L2") return each.fail(`norm: got ${norm}, expected L1 or L2`);
    const y = each.output(0);
    const [sizes, sum, divisor] = [`${y}/sizes`, `${y}/norm`, `${y}/divisor`];
    return [
      ...(norm === "L1"
        ? [each.node("Abs", [each.x], sizes), each.overRow("ReduceSum", AXES_OF_SUMS, sizes, sum)]
        : [each.overRow("ReduceL2", AXES_OF_NORMS, each.x, sum)]),
      each.node("Max", [sum, each.row("tiny", [TINY])], divisor),
      each.node("Div", [each.x, divisor], y),
    ];
  },

  LinearRegressor(each) {
    const targets = each.int("targets", 1);
    const transform = each.text("post_transform", "NONE");
    if (transform !== "NONE") return each.fail(`post_transform: got ${transform}, expected NONE`);
    return [linear(each, targets, each.output(0))];
  },

  LinearClassifier(each) {
    const transform = each.text("post_transform", "NONE");
    const op = { NONE: "", SOFTMAX: "Softmax", LOGISTIC: "Sigmoid" }[transform];
    if (op === undefined)
      return each.fail(`post_transform: got ${transform}, expected NONE, SOFTMAX or LOGISTIC`);
    const classes = each.floats("intercepts").length;
    if (classes !== each.labels())
      return each.fail(
        `has ${classes} rows of coefficients for ${each.labels()} classes, expected one a class`,
      );
    const y = each.output(1);
    if (op === "") return [linear(each, classes, y)];
    const logits = `${y}/logits`;
    return [linear(each, classes, logits), each.node(op, [logits], y, op === "Softmax" ? { axis: 1 } : {})];
  },
};

/** `x coefficients^T + intercepts`, coefficients [rows, C]. */
function linear(each: Spelling, rows: number, output: string): NodeProto {
  const coefficients = each.floats("coefficients");
  const given = each.floats("intercepts");
  const intercepts = given.length === 0 ? Array<number>(rows).fill(0) : given;
  const channels = coefficients.length / rows;
  if (!Number.isInteger(channels) || channels < 1 || intercepts.length !== rows)
    return each.fail(
      `has ${coefficients.length} coefficients and ${given.length} intercepts for ${rows} outputs`,
    );
  const kernel = transpose(float32([rows, channels], coefficients), [1, 0]);
  const weights = [each.constant("kernel", tensorToProto(kernel)), each.row("bias", intercepts)];
  return each.node("Gemm", [each.x, ...weights], output);
}

// Graph -> ModelProto. Writes what the graph says and nothing more: no types of inner values, no attributes that
// equal their defaults, each constant once. Chooses no operators and changes no numbers; that is lowering.

import { QdgError } from "../base/error.js";
import type { DType } from "../base/tensor.js";
import type { Attribute, Dim, Graph, Node, Value } from "../graph/graph.js";
import { isUnknownRank, UNKNOWN_DIM } from "../graph/unknown-shape.js";
import { DATA_TYPE } from "./data-type.js";
import type {
  AttributeProto,
  DimensionProto,
  FunctionProto,
  ModelProto,
  NodeProto,
  TensorProto,
  ValueInfoProto,
} from "./model-proto.js";
import { ATTRIBUTE_TYPE } from "./model-proto.js";
import { INT4_OPSET, isDefaultAttribute, operator } from "./opset.js";
import { tensorToProto } from "./tensor-proto.js";

export interface ModelOptions {
  readonly opset: number;
  readonly irVersion: number;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Model-local functions of domain "qdg" that nodes of the graph call; those nobody calls are left out. */
  readonly functions?: readonly FunctionProto[];
  readonly producerVersion: string;
}

/**
 * The file of a graph. Names of values are kept as they are: give short ones where size matters. A node bears
 * its `origin` as name where that says more than its output's name does: once an origin, and not on the
 * conversions around the operator. Quantization annotations are not written: lower the graph first.
 *
 * @throws QdgError `unsupported-op` for an operator that the opset lacks, or one of qdg's own without a
 * function; `invalid-graph` for a constant with a channelFactor that was not lowered, two values of one name
 */
export function graphToModel(graph: Graph, options: ModelOptions): ModelProto {
  const constants = new Map<Value, TensorProto>();
  const names = new Map<string, Value>();
  const named = (value: Value): string => {
    const other = names.get(value.name);
    if (other !== undefined && other !== value) {
      throw new QdgError("invalid-graph", value.name, "two values have this name, expected one");
    }
    names.set(value.name, value);
    if (value.constant && !constants.has(value)) constants.set(value, initializer(value, options));
    return value.name;
  };
  const bearers = nameBearers(graph);
  const input = graph.inputs.map((value) => valueInfo(named(value), value));
  const node = graph.nodes.map((each) => nodeProto(each, options, named, bearers.has(each)));
  const output = graph.outputs.map((value) => valueInfo(named(value), value));
  const functions = calledFunctions(graph, options.functions ?? []);
  const metadata = Object.entries(options.metadata ?? {});
  return {
    irVersion: options.irVersion,
    producerName: "qdg",
    producerVersion: options.producerVersion,
    graph: {
      ...listField("node", node),
      name: graph.name,
      ...listField("initializer", [...constants.values()]),
      ...listField("input", input),
      ...listField("output", output),
    },
    opsetImport: [
      { version: options.opset },
      ...(functions.length > 0 ? [{ domain: "qdg", version: 1 }] : []),
    ],
    ...listField(
      "metadataProps",
      metadata.map(([key, value]) => ({ key, value })),
    ),
    ...listField("functions", functions),
  };
}

/** An attribute of a node: a number is an int, `{float}` a float, a Tensor a tensor. */
export function attributeProto(name: string, value: Attribute): AttributeProto {
  if (typeof value === "number") return { name, type: ATTRIBUTE_TYPE.int, i: value };
  if (typeof value === "string") return { name, type: ATTRIBUTE_TYPE.string, s: utf8.encode(value) };
  if ("float" in value) return { name, type: ATTRIBUTE_TYPE.float, f: Math.fround(value.float) };
  if ("dtype" in value) return { name, type: ATTRIBUTE_TYPE.tensor, t: tensorToProto(value) };
  if (value.some((item) => typeof item === "string")) {
    const strings = value.map((item) => utf8.encode(item as string));
    return { name, type: ATTRIBUTE_TYPE.strings, strings };
  }
  return { name, type: ATTRIBUTE_TYPE.ints, ...listField("ints", value as readonly number[]) };
}

const utf8 = new TextEncoder();

/** Conversions: they carry the origin of the operator that they serve. */
const NAMELESS: ReadonlySet<string> = new Set([
  "QuantizeLinear",
  "DequantizeLinear",
  "Cast",
  "Clip",
  "Identity",
]);

/** Operators that a layer with weights is known by, whatever helps them. */
const WEIGHTED: ReadonlySet<string> = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);

/** For each origin the one node that bears its name: the weighted one, else the first that is no conversion. */
function nameBearers(graph: Graph): ReadonlySet<Node> {
  const bearers = new Map<string, Node>();
  for (const node of graph.nodes) {
    if (node.domain !== "" || NAMELESS.has(node.op)) continue;
    const known = bearers.get(node.origin);
    if (!known || (WEIGHTED.has(node.op) && !WEIGHTED.has(known.op))) bearers.set(node.origin, node);
  }
  return new Set(bearers.values());
}

function nodeProto(
  node: Node,
  options: ModelOptions,
  named: (value: Value) => string,
  bearsName: boolean,
): NodeProto {
  const where = `${node.origin} (${node.op})`;
  if (node.domain === "qdg") {
    if (!options.functions?.some(({ name }) => name === node.op)) {
      throw new QdgError(
        "unsupported-op",
        where,
        "is an operator of qdg's own without a function; lower the graph first",
      );
    }
  } else {
    const since = operator(node.op)?.since;
    if (since === undefined)
      throw new QdgError("unsupported-op", where, "is an operator that qdg does not write");
    if (since > options.opset) {
      throw new QdgError(
        "unsupported-op",
        where,
        `needs opset ${since}, got ${options.opset}; choose a higher --opset`,
      );
    }
  }
  const input = node.inputs.map((value) => (value ? named(value) : ""));
  while (input.at(-1) === "") input.pop();
  const output = node.outputs.map(named);
  const attributes = Object.entries(node.attributes).filter(
    ([name, value]) => node.domain !== "" || !isDefaultAttribute(node.op, name, value),
  );
  const name = bearsName && node.origin !== "" && node.origin !== output[0] ? node.origin : undefined;
  return {
    ...listField("input", input),
    ...listField("output", output),
    ...(name === undefined ? {} : { name }),
    opType: node.op,
    ...listField(
      "attribute",
      attributes.map(([key, value]) => attributeProto(key, value)),
    ),
    ...(node.domain === "" ? {} : { domain: node.domain }),
  };
}

function initializer(value: Value, options: ModelOptions): TensorProto {
  const { name, constant } = value;
  if (!constant) throw new QdgError("internal", name, "is no constant");
  if (value.channelFactor) {
    throw new QdgError("invalid-graph", name, "has a factor along its channels that was not lowered");
  }
  if ((constant.dtype === "int4" || constant.dtype === "uint4") && options.opset < INT4_OPSET) {
    throw new QdgError(
      "unsupported-op",
      name,
      `${constant.dtype} needs opset ${INT4_OPSET}, got ${options.opset}; choose --weights packed or a higher --opset`,
    );
  }
  return tensorToProto(constant, name);
}

function calledFunctions(graph: Graph, functions: readonly FunctionProto[]): FunctionProto[] {
  const called = new Set(graph.nodes.filter(({ domain }) => domain === "qdg").map(({ op }) => op));
  // A function may call others.
  for (const name of called) {
    const body = functions.find((each) => each.name === name)?.node ?? [];
    for (const { domain, opType } of body) if (domain === "qdg" && opType) called.add(opType);
  }
  return functions.filter(({ name }) => name !== undefined && called.has(name));
}

function valueInfo(name: string, value: Value): ValueInfoProto {
  return { name, type: { tensorType: tensorType(value.dtype, value.shape) } };
}

function tensorType(dtype: DType, shape: readonly Dim[]): { elemType: number; shape?: object } {
  const elemType = DATA_TYPE[dtype];
  if (isUnknownRank(shape)) return { elemType };
  return { elemType, shape: listField("dim", shape.map(dimension)) };
}

function dimension(dim: Dim): DimensionProto {
  if (typeof dim === "number") return { dimValue: dim };
  return dim === UNKNOWN_DIM ? {} : { dimParam: dim };
}

/** A list that is empty is absent in a file: so it is in the object. */
export function listField<K extends string, T>(key: K, list: readonly T[]): { [key in K]?: readonly T[] } {
  return list.length > 0 ? ({ [key]: list } as { [key in K]: readonly T[] }) : {};
}

// The rules that a model in the file format keeps, as a check: run on everything that qdg writes. Reads the
// messages as they are, functions and inner graphs included; computes nothing.

import { QdgError } from "../base/error.js";
import type { DType } from "../base/tensor.js";
import { raiseAttribute } from "./attributes.js";
import { DATA_TYPE_NAMES, dataTypeName, dtypeOf } from "./data-type.js";
import { checkExpansion, functionKey } from "./expansion.js";
import type {
  AttributeProto,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  OperatorSetIdProto,
  TensorProto,
  ValueInfoProto,
} from "./model-proto.js";
import { ATTRIBUTE_TYPE } from "./model-proto.js";
import { INT4_OPSET, isInClass, needsOneType, operator, resultType } from "./opset.js";
import { layoutOf } from "./tensor-proto.js";

export interface VerifyModelOptions {
  /** "accept" for files of others: operators and element types that qdg does not know are passed over. */
  readonly unknown?: "refuse" | "accept";
}

/**
 * Checks that
 * - there are an IR version, a named graph and one version of each operator set, and each domain used is imported;
 * - names are given once; nodes read what stands before them; outputs are computed;
 * - inputs and outputs have an element type, declared types agree with computed ones;
 * - initializers hold as much data as their shape needs;
 * - operators are in the table of opset.ts at the model's opset, with a right number of inputs and outputs and
 *   element types that they take; attributes have a name, a type and a value of it;
 * - functions keep the same rules, are called with inputs that they have, and do not call themselves.
 *
 * @throws QdgError `invalid-onnx`; `unsupported-op` for operators and types that qdg does not know
 */
export function verifyModel(model: ModelProto, options: VerifyModelOptions = {}): void {
  const where = "ONNX model";
  if (typeof model.irVersion !== "number" || model.irVersion < 1) {
    throw invalid(where, `IR version: got ${model.irVersion}, expected 1 or more`);
  }
  if (!model.graph) throw invalid(where, "has no graph");
  if (!model.graph.name) throw invalid(where, "its graph has no name");
  checkExpansion(model, where);
  const functions = new Map<string, FunctionProto>();
  for (const each of model.functions ?? []) {
    functions.set(functionKey(each.domain, each.name, each.overload), each);
  }
  if (functions.size > 0 && model.irVersion < 8) {
    throw invalid(where, `has functions at IR version ${model.irVersion}, expected 8 or more`);
  }
  const strict = options.unknown !== "accept";
  const context: Context = { opsets: opsetsOf(model.opsetImport, where), functions, strict };
  for (const [key, each] of functions) verifyFunction(key, each, context);
  verifyGraphProto(model.graph, context, null);
}

interface Context {
  /** Version by domain; "" for the standard operators. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly functions: ReadonlyMap<string, FunctionProto>;
  readonly strict: boolean;
}

/** Element types of values in reach by name; undefined: not known. An inner graph sees those around it. */
class Scope {
  readonly types = new Map<string, DType | undefined>();
  readonly #outer: Scope | null;

  constructor(outer: Scope | null) {
    this.#outer = outer;
  }

  has(name: string): boolean {
    return this.types.has(name) || (this.#outer?.has(name) ?? false);
  }

  typeOf(name: string): DType | undefined {
    return this.types.has(name) ? this.types.get(name) : this.#outer?.typeOf(name);
  }

  define(name: string, type: DType | undefined, where: string): void {
    if (name === "") throw invalid(where, "defines a value without a name");
    if (this.has(name)) throw invalid(where, `value ${name} is defined twice, expected once`);
    this.types.set(name, type);
  }
}

function verifyGraphProto(graph: GraphProto, context: Context, outer: Scope | null): void {
  const scope = new Scope(outer);
  const declared = new Map<string, ValueInfoProto>();
  for (const info of [...(graph.valueInfo ?? []), ...(graph.output ?? [])])
    declared.set(info.name ?? "", info);
  for (const info of graph.input ?? []) {
    scope.define(info.name ?? "", typeOfInfo(info, context, outer === null), "graph inputs");
  }
  const initializers = new Set<string>();
  for (const proto of graph.initializer ?? []) {
    const name = proto.name ?? "";
    const where = `initializer ${name}`;
    verifyTensor(proto, where, context);
    if (initializers.has(name)) throw invalid(where, `value ${name} is defined twice, expected once`);
    initializers.add(name);
    const dtype = dtypeOf(proto.dataType);
    // Before IR version 4 each initializer was an input too.
    if (!scope.types.has(name)) scope.define(name, dtype, where);
    else if (scope.types.get(name) !== dtype) {
      throw invalid(where, `is ${dtype}, declared ${scope.types.get(name)} among the inputs`);
    }
  }
  for (const { values } of graph.sparseInitializer ?? []) {
    scope.define(values?.name ?? "", dtypeOf(values?.dataType), "sparse initializers");
  }
  for (const node of graph.node ?? []) verifyNode(node, scope, context, declared, false);
  const outputs = new Set<string>();
  for (const info of graph.output ?? []) {
    const name = info.name ?? "";
    if (!scope.has(name)) throw invalid(`output ${name}`, "is computed nowhere");
    if (outputs.has(name)) throw invalid(`output ${name}`, "is there twice");
    outputs.add(name);
    const type = typeOfInfo(info, context, outer === null);
    const computed = scope.typeOf(name);
    if (type && computed && type !== computed)
      throw invalid(`output ${name}`, `is declared ${type}, computed ${computed}`);
  }
  if (outputs.size === 0) throw invalid(`graph ${graph.name}`, "has no output");
}

function verifyFunction(key: string, each: FunctionProto, context: Context): void {
  const where = `function ${key}`;
  if (!each.name || !each.domain) throw invalid(where, "has no name or no domain");
  const own: Context = { ...context, opsets: opsetsOf(each.opsetImport, where) };
  const standard = own.opsets.get("");
  if (standard !== undefined && standard !== context.opsets.get("")) {
    throw invalid(where, `is of opset ${standard}, expected that of the model, ${context.opsets.get("")}`);
  }
  const scope = new Scope(null);
  for (const name of each.input ?? []) scope.define(name, undefined, where);
  for (const node of each.node ?? []) verifyNode(node, scope, own, new Map(), true);
  for (const name of each.output ?? []) {
    if (!scope.has(name)) throw invalid(where, `output ${name} is computed nowhere`);
  }
}

function verifyNode(
  node: NodeProto,
  scope: Scope,
  context: Context,
  declared: ReadonlyMap<string, ValueInfoProto>,
  inFunction: boolean,
): void {
  const inputs = node.input ?? [];
  const outputs = node.output ?? [];
  const where = `${node.name || outputs[0] || "node"} (${node.opType})`;
  if (!node.opType) throw invalid(where, "has no operator");
  const domain = standardName(node.domain);
  if (!context.opsets.has(domain)) {
    throw invalid(where, `is of domain "${domain}", of which no version is imported`);
  }
  for (const name of inputs) {
    if (name !== "" && !scope.has(name))
      throw invalid(where, `reads ${name}, which nothing before it computes`);
  }
  verifyAttributes(node, where, scope, context, inFunction);
  const types = inputs.map((name) => (name === "" ? undefined : scope.typeOf(name)));
  const called = context.functions.get(functionKey(node.domain, node.opType, node.overload));
  if (called) {
    const most = [called.input?.length ?? 0, called.output?.length ?? 0] as const;
    if (inputs.length > most[0] || outputs.length > most[1]) {
      const got = `${inputs.length} inputs and ${outputs.length} outputs`;
      throw invalid(where, `has ${got}, expected at most ${most[0]} and ${most[1]} of the function`);
    }
    // ONNX Runtime 1.30 does not load a call that leaves outputs out.
    if (context.strict && outputs.length < most[1]) {
      throw invalid(where, `has ${outputs.length} outputs, expected all ${most[1]} of the function`);
    }
  } else if (domain === "") verifyOperator(node, where, types, context);
  else if (context.strict) {
    throw unsupported(
      where,
      `is of domain "${domain}", expected a standard operator or a function in the file`,
    );
  }
  const computes = called === undefined && domain === "";
  outputs.forEach((name, index) => {
    if (name === "") return;
    const info = declared.get(name);
    const stated = info && typeOfInfo(info, context, false);
    const computed = computes ? outputType(node, types, index, context) : undefined;
    if (stated && computed && stated !== computed) {
      throw invalid(where, `output ${name} is declared ${stated}, computed ${computed}`);
    }
    scope.define(name, computed ?? stated, where);
  });
}

function verifyOperator(
  node: NodeProto,
  where: string,
  types: readonly (DType | undefined)[],
  context: Context,
): void {
  const opType = node.opType as string;
  const known = operator(opType);
  const opset = context.opsets.get("") as number;
  if (!known || known.since > opset) {
    if (!context.strict) return;
    throw unsupported(
      where,
      known ? `needs opset ${known.since}, got ${opset}` : "is an operator that qdg does not know",
    );
  }
  const counts = [
    ["inputs", node.input?.length ?? 0, known.inputs],
    ["outputs", node.output?.length ?? 0, known.outputs],
  ] as const;
  for (const [what, got, [min, max]] of counts) {
    if (got < min || got > max) {
      throw invalid(where, `has ${got} ${what}, expected ${min === max ? min : `${min} to ${max}`}`);
    }
  }
  (node.input ?? []).slice(0, known.inputs[0]).forEach((name, index) => {
    if (name === "") throw invalid(where, `input ${index} is left out, which it may not be`);
  });
  const [first] = types;
  if (first && !isInClass(first, known.types)) {
    throw invalid(where, `has a first input of ${first}, expected ${known.types}`);
  }
  if (needsOneType(opType)) {
    const other = types.find((type) => type !== undefined && first !== undefined && type !== first);
    if (other) throw invalid(where, `has inputs of ${first} and ${other}, expected one element type`);
  }
}

function outputType(
  node: NodeProto,
  types: readonly (DType | undefined)[],
  index: number,
  context: Context,
): DType | undefined {
  if (node.opType === "Constant") {
    const value = node.attribute?.[0];
    if (value?.name === "value") return dtypeOf(value.t?.dataType);
    if (value?.name?.startsWith("value_float")) return "float32";
    return value?.name?.startsWith("value_int") ? "int64" : undefined;
  }
  try {
    const attributes: Record<string, ReturnType<typeof raiseAttribute>> = {};
    for (const each of node.attribute ?? []) {
      // Those that types depend on; others may be of kinds that a Graph lacks.
      if (each.name !== "to" && each.name !== "output_dtype" && each.name !== "value") continue;
      if (each.refAttrName) return undefined;
      attributes[each.name] = raiseAttribute(each, node.opType ?? "");
    }
    return resultType(node.opType ?? "", attributes, types, index);
  } catch (thrown) {
    if (context.strict) throw thrown;
    return undefined;
  }
}

/** Which field holds the value of each attribute type. */
const FIELDS: Readonly<Record<number, keyof AttributeProto>> = {
  [ATTRIBUTE_TYPE.float]: "f",
  [ATTRIBUTE_TYPE.int]: "i",
  [ATTRIBUTE_TYPE.string]: "s",
  [ATTRIBUTE_TYPE.tensor]: "t",
  [ATTRIBUTE_TYPE.graph]: "g",
  [ATTRIBUTE_TYPE.floats]: "floats",
  [ATTRIBUTE_TYPE.ints]: "ints",
  [ATTRIBUTE_TYPE.strings]: "strings",
  [ATTRIBUTE_TYPE.tensors]: "tensors",
  [ATTRIBUTE_TYPE.graphs]: "graphs",
  [ATTRIBUTE_TYPE.sparseTensor]: "sparseTensor",
  [ATTRIBUTE_TYPE.sparseTensors]: "sparseTensors",
  [ATTRIBUTE_TYPE.typeProto]: "tp",
  [ATTRIBUTE_TYPE.typeProtos]: "typeProtos",
};

function verifyAttributes(
  node: NodeProto,
  where: string,
  scope: Scope,
  context: Context,
  inFunction: boolean,
): void {
  const names = new Set<string>();
  for (const attribute of node.attribute ?? []) {
    const { name = "", type = 0 } = attribute;
    if (name === "" || names.has(name))
      throw invalid(where, `attribute "${name}" has no name or is there twice`);
    names.add(name);
    const field = FIELDS[type];
    if (!field) throw invalid(where, `attribute ${name}: type ${type} is none`);
    const set = Object.values(FIELDS).filter((key) => attribute[key] !== undefined);
    if (attribute.refAttrName) {
      if (!inFunction || set.length > 0) {
        throw invalid(
          where,
          `attribute ${name} refers to its caller's, which only a function's body may do, without a value`,
        );
      }
      continue;
    }
    // An empty list is absent.
    const mayBeAbsent = field.endsWith("s") && field !== "s";
    if (set.some((key) => key !== field) || (set.length === 0 && !mayBeAbsent)) {
      throw invalid(where, `attribute ${name}: got a value in [${set.join(", ")}], expected one in ${field}`);
    }
    if (attribute.t) verifyTensor(attribute.t, `${where} attribute ${name}`, context);
    for (const graph of [attribute.g, ...(attribute.graphs ?? [])]) {
      if (graph) verifyGraphProto(graph, context, scope);
    }
  }
}

function verifyTensor(proto: TensorProto, where: string, context: Context): void {
  const dtype = dtypeOf(proto.dataType);
  if (!dtype) {
    const exists = proto.dataType ? DATA_TYPE_NAMES[proto.dataType] : undefined;
    if (exists && !context.strict) return;
    throw unsupported(
      where,
      `has element type ${dataTypeName(proto.dataType)}, which qdg cannot compute with`,
    );
  }
  layoutOf(proto, where);
  const opset = context.opsets.get("");
  if ((dtype === "int4" || dtype === "uint4") && opset !== undefined && opset < INT4_OPSET) {
    throw invalid(where, `is ${dtype}, which needs opset ${INT4_OPSET}, got ${opset}`);
  }
}

/** @param required whether a type must be there, as for inputs and outputs of the model itself */
function typeOfInfo(info: ValueInfoProto, context: Context, required: boolean): DType | undefined {
  const where = `value ${info.name}`;
  const elemType = info.type?.tensorType?.elemType;
  const dtype = dtypeOf(elemType);
  if (dtype) return dtype;
  if (elemType && context.strict) {
    throw unsupported(where, `has element type ${dataTypeName(elemType)}, which qdg cannot compute with`);
  }
  const kinds = Object.keys(info.type ?? {}).filter((key) => key.endsWith("Type"));
  if (required && !elemType && (context.strict || kinds.length === 0 || kinds.includes("tensorType"))) {
    throw invalid(where, "has no element type");
  }
  return undefined;
}

function opsetsOf(imports: readonly OperatorSetIdProto[] | undefined, where: string): Map<string, number> {
  const opsets = new Map<string, number>();
  for (const { domain, version } of imports ?? []) {
    const name = standardName(domain);
    if (typeof version !== "number" || version < 1) {
      throw invalid(where, `opset of domain "${name}": got ${version}, expected 1 or more`);
    }
    if (opsets.has(name)) throw invalid(where, `imports domain "${name}" twice`);
    opsets.set(name, version);
  }
  if (opsets.size === 0) throw invalid(where, "imports no operator set");
  return opsets;
}

function standardName(domain: string | undefined): string {
  return domain === undefined || domain === "ai.onnx" ? "" : domain;
}

function invalid(where: string, what: string): QdgError {
  return new QdgError("invalid-onnx", where, what);
}

function unsupported(where: string, what: string): QdgError {
  return new QdgError("unsupported-op", where, what);
}

// Attributes of ONNX nodes as attributes of a Graph, references of a function's body to its caller resolved.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { int64 } from "../base/tensor.js";
import type { Attribute } from "../graph/graph.js";
import type { AttributeProto, Int64, NodeProto } from "./model-proto.js";
import { ATTRIBUTE_TYPE } from "./model-proto.js";
import { type ExternalData, protoToTensor } from "./tensor-proto.js";

/** Attributes of a calling node by name; absent ones are not there. */
export type Bindings = ReadonlyMap<string, AttributeProto>;

/**
 * Attributes of a node with references replaced by the caller's values, under the node's names. One that the
 * caller does not give, and that has no default, is left out, as ONNX has it.
 */
export function resolveAttributes(
  node: NodeProto,
  bindings: Bindings | null,
  where: string,
): AttributeProto[] {
  const resolved: AttributeProto[] = [];
  const names = new Set<string>();
  for (const attribute of node.attribute ?? []) {
    const name = attribute.name ?? "";
    // Attributes become keys of an object, where __proto__ is none.
    if (name === "" || name === "__proto__" || names.has(name)) {
      throw new QdgError(
        "invalid-onnx",
        where,
        `attribute "${name}" has no name of its own or is there twice`,
      );
    }
    names.add(name);
    const ref = attribute.refAttrName;
    if (!ref) resolved.push(attribute);
    else if (bindings === null) {
      throw new QdgError(
        "invalid-onnx",
        where,
        `attribute ${name} refers to ${ref}, which only a function's body may do`,
      );
    } else {
      const given = bindings.get(ref);
      if (given) resolved.push({ ...given, name });
    }
  }
  return resolved;
}

/**
 * A list of floats becomes a tensor.
 *
 * @throws QdgError `unsupported-op` for graphs, lists of tensors and the like, which a Graph's attributes do not
 * have; `invalid-onnx` for a value that is missing
 */
export function raiseAttribute(attribute: AttributeProto, where: string, external?: ExternalData): Attribute {
  const name = attribute.name ?? "";
  switch (typeOf(attribute)) {
    case ATTRIBUTE_TYPE.int:
      return exact(attribute.i ?? 0, name, where);
    case ATTRIBUTE_TYPE.float:
      return { float: attribute.f ?? 0 };
    case ATTRIBUTE_TYPE.string:
      return text(attribute.s ?? new Uint8Array(0), name, where);
    case ATTRIBUTE_TYPE.ints:
      return (attribute.ints ?? []).map((item) => exact(item, name, where));
    case ATTRIBUTE_TYPE.strings:
      return (attribute.strings ?? []).map((item) => text(item, name, where));
    case ATTRIBUTE_TYPE.floats: {
      const data = Float32Array.from(attribute.floats ?? []);
      return { dtype: "float32", shape: [data.length], data };
    }
    case ATTRIBUTE_TYPE.tensor:
      if (!attribute.t) throw new QdgError("invalid-onnx", where, `attribute ${name} has no tensor`);
      return protoToTensor(attribute.t, `${where} attribute ${name}`, external);
    case ATTRIBUTE_TYPE.graph:
    case ATTRIBUTE_TYPE.graphs:
      throw new QdgError(
        "unsupported-op",
        where,
        `has a graph inside (attribute ${name}): control flow is not supported; export the model without it`,
      );
    default:
      throw new QdgError(
        "unsupported-op",
        where,
        `attribute ${name} has a type that qdg cannot compute with`,
      );
  }
}

/** The tensor that a Constant node stands for. @throws QdgError as raiseAttribute */
export function constantOf(
  attributes: readonly AttributeProto[],
  where: string,
  external?: ExternalData,
): Tensor {
  const [attribute] = attributes;
  if (!attribute || attributes.length !== 1) {
    throw new QdgError("invalid-onnx", where, `Constant has ${attributes.length} values, expected 1`);
  }
  switch (attribute.name ?? "") {
    case "value": {
      const tensor = raiseAttribute(attribute, where, external);
      if (typeof tensor === "object" && "dtype" in tensor) return tensor;
      throw new QdgError("invalid-onnx", where, "Constant has a value that is no tensor");
    }
    case "value_int":
      return { dtype: "int64", shape: [], data: BigInt64Array.of(BigInt(attribute.i ?? 0)) };
    case "value_ints": {
      const data = BigInt64Array.from(attribute.ints ?? [], BigInt);
      return data.length === 0 ? int64([0], []) : { dtype: "int64", shape: [data.length], data };
    }
    case "value_float":
      return { dtype: "float32", shape: [], data: Float32Array.of(attribute.f ?? 0) };
    case "value_floats": {
      const data = Float32Array.from(attribute.floats ?? []);
      return { dtype: "float32", shape: [data.length], data };
    }
    default:
      throw new QdgError("unsupported-op", where, `Constant with ${attribute.name} is not supported`);
  }
}

/** Files before IR version 2 have no type; the field that is set says it. */
function typeOf(attribute: AttributeProto): number {
  if (attribute.type) return attribute.type;
  if (attribute.i !== undefined) return ATTRIBUTE_TYPE.int;
  if (attribute.f !== undefined) return ATTRIBUTE_TYPE.float;
  if (attribute.s !== undefined) return ATTRIBUTE_TYPE.string;
  if (attribute.t !== undefined) return ATTRIBUTE_TYPE.tensor;
  if (attribute.g !== undefined) return ATTRIBUTE_TYPE.graph;
  if (attribute.floats !== undefined) return ATTRIBUTE_TYPE.floats;
  if (attribute.ints !== undefined) return ATTRIBUTE_TYPE.ints;
  if (attribute.strings !== undefined) return ATTRIBUTE_TYPE.strings;
  return ATTRIBUTE_TYPE.undefined;
}

function exact(value: Int64, name: string, where: string): number {
  if (typeof value === "number") return value;
  throw new QdgError(
    "unsupported-op",
    where,
    `attribute ${name}: got ${value}, expected at most 2^53 - 1 either side of 0`,
  );
}

function text(bytes: Uint8Array, name: string, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (thrown) {
    throw new QdgError("invalid-onnx", where, `attribute ${name} is not UTF-8`, { cause: thrown });
  }
}

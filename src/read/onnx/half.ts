// Models in float16 as models in float32: every number of float16 is one of float32, so that no weight changes, and sums are the
// more exact ones. Rewrites messages of the file and computes nothing.

import { float32 } from "../../base/tensor.js";
import { fromFloat16 } from "../../compute/cast.js";
import { DATA_TYPE } from "../../onnx/data-type.js";
import type {
  AttributeProto,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  TensorProto,
  TypeProto,
  ValueInfoProto,
} from "../../onnx/model-proto.js";
import { protoToTensor, tensorToProto } from "../../onnx/tensor-proto.js";

/** Attributes that name the type of what an operator gives. */
const TYPE_ATTRIBUTES: ReadonlySet<string> = new Set(["to", "dtype"]);

/** Inputs and outputs that a warning names. */
const MOST_NAMED = 3;

export interface Single {
  readonly model: ModelProto;
  /** What a user is told of float16 in the file; null where it has none. */
  readonly warning: string | null;
}

/**
 * The model with float32 wherever it has float16: initializers, constants, casts, declared types, inputs and outputs. The given model
 * itself where it has none. Tensors in other files stay as they are.
 *
 * @throws QdgError `invalid-onnx` for a tensor of float16 that contradicts itself
 */
export function inSingle(model: ModelProto): Single {
  const conversion = new Conversion();
  const converted = {
    ...model,
    ...(model.graph && { graph: conversion.graph(model.graph) }),
    ...(model.functions && { functions: model.functions.map((each) => conversion.body(each)) }),
  };
  if (conversion.count === 0) return { model, warning: null };
  const ports = [...(model.graph?.input ?? []), ...(model.graph?.output ?? [])];
  return { model: converted, warning: warningOf(ports.filter(({ type }) => isHalf(type))) };
}

function warningOf(ports: readonly ValueInfoProto[]): string {
  const read =
    "has float16 in it, which is read as float32: weights keep their values, sums are more exact than in the file";
  if (ports.length === 0) return read;
  const names = ports.slice(0, MOST_NAMED).map(({ name = "" }) => name);
  const more = ports.length > MOST_NAMED ? ` and ${ports.length - MOST_NAMED} more` : "";
  return `${read}; inputs and outputs of float16 (${names.join(", ")}${more}) are float32 in what is made of it`;
}

function isHalf(type: TypeProto | undefined): boolean {
  return type?.tensorType?.elemType === DATA_TYPE.float16;
}

class Conversion {
  /** Places that had float16. */
  count = 0;
  /** Numbers by their bits, made for the first tensor. */
  #numbers: Float32Array | null = null;

  graph(proto: GraphProto): GraphProto {
    return {
      ...proto,
      ...(proto.node && { node: proto.node.map((each) => this.#node(each)) }),
      ...(proto.initializer && { initializer: proto.initializer.map((each) => this.#tensor(each)) }),
      ...(proto.input && { input: proto.input.map((each) => this.#info(each)) }),
      ...(proto.output && { output: proto.output.map((each) => this.#info(each)) }),
      ...(proto.valueInfo && { valueInfo: proto.valueInfo.map((each) => this.#info(each)) }),
    };
  }

  body(proto: FunctionProto): FunctionProto {
    return {
      ...proto,
      ...(proto.node && { node: proto.node.map((each) => this.#node(each)) }),
      ...(proto.valueInfo && { valueInfo: proto.valueInfo.map((each) => this.#info(each)) }),
      ...(proto.attributeProto && {
        attributeProto: proto.attributeProto.map((each) => this.#attribute(each)),
      }),
    };
  }

  #node(proto: NodeProto): NodeProto {
    if (!proto.attribute) return proto;
    return { ...proto, attribute: proto.attribute.map((each) => this.#attribute(each)) };
  }

  #attribute(proto: AttributeProto): AttributeProto {
    if (TYPE_ATTRIBUTES.has(proto.name ?? "") && proto.i === DATA_TYPE.float16) {
      this.count++;
      return { ...proto, i: DATA_TYPE.float32 };
    }
    return proto.t ? { ...proto, t: this.#tensor(proto.t) } : proto;
  }

  #info(proto: ValueInfoProto): ValueInfoProto {
    if (!proto.type || !isHalf(proto.type)) return proto;
    this.count++;
    return {
      ...proto,
      type: { ...proto.type, tensorType: { ...proto.type.tensorType, elemType: DATA_TYPE.float32 } },
    };
  }

  #tensor(proto: TensorProto): TensorProto {
    if (proto.dataType !== DATA_TYPE.float16) return proto;
    this.count++;
    if (proto.dataLocation === 1) return proto;
    const { shape, data } = protoToTensor(proto);
    this.#numbers ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => fromFloat16(bits));
    const numbers = this.#numbers;
    const single = Float32Array.from(data as Uint16Array, (bits) => numbers[bits] as number);
    return tensorToProto(float32(shape, single), proto.name);
  }
}

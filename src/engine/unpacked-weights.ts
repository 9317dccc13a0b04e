// Weights that a file unpacks with functions that qdg wrote: unpacked here at once, where interpreting their bodies, which
// says the same, takes most of the time that a file takes to load.

import type { Tensor } from "../base/tensor.js";
import { boundedSize, tensor } from "../base/tensor.js";
import { SHIFT_FUNCTION, shiftFunction } from "../lower/shift-function.js";
import { unpackFunction, unpackFunctionName } from "../lower/unpack-function.js";
import type { FunctionProto, ModelProto, NodeProto } from "../onnx/model-proto.js";
import { protoToTensor, tensorToProto } from "../onnx/tensor-proto.js";
import { unpackBitPlanes } from "../quant/pack.js";

type Function = (inputs: readonly Tensor[]) => Tensor | null;

/** The model with constants in the place of calls of `qdg.Unpack<bits>` and `qdg.Shift`, where their bodies are qdg's. */
export function withUnpackedWeights(model: ModelProto): ModelProto {
  const known = knownFunctions(model.functions ?? []);
  const { graph } = model;
  if (!graph || known.size === 0) return model;
  const stored = new Map((graph.initializer ?? []).map((each) => [each.name ?? "", each]));
  const unpacked = new Map<string, Tensor>();
  const constantOf = (name: string): Tensor | null => {
    const proto = stored.get(name);
    return unpacked.get(name) ?? (proto ? protoToTensor(proto, name) : null);
  };
  const rest: NodeProto[] = [];
  for (const node of graph.node ?? []) {
    const call = node.domain === "qdg" ? known.get(node.opType ?? "") : undefined;
    const inputs = call ? (node.input ?? []).map(constantOf) : [];
    const result = call && inputs.every((input) => input !== null) ? call(inputs) : null;
    if (result) unpacked.set(node.output?.[0] ?? "", result);
    else rest.push(node);
  }
  const constants = [...unpacked].map(([name, value]) => tensorToProto(value, name));
  return {
    ...model,
    graph: { ...graph, node: rest, initializer: [...(graph.initializer ?? []), ...constants] },
  };
}

/** Functions of the file whose bodies are, field by field, those that qdg writes. */
function knownFunctions(functions: readonly FunctionProto[]): Map<string, Function> {
  const known = new Map<string, Function>();
  for (const each of functions) {
    const opset = Number(each.opsetImport?.[0]?.version ?? 0);
    const name = each.name ?? "";
    for (let bits = 2; bits <= 8; bits++) {
      if (name === unpackFunctionName(bits) && isSame(each, unpackFunction(bits, opset))) {
        known.set(name, unpack(bits));
      }
    }
    if (name === SHIFT_FUNCTION && isSame(each, shiftFunction(opset))) known.set(name, shift);
  }
  return known;
}

/** Whether messages have the same fields, however their numbers and lists are held. */
function isSame(a: unknown, b: unknown): boolean {
  if (isNumber(a) && isNumber(b)) return Number(a) === Number(b);
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  const fields = new Map(fieldsOf(b));
  const own = fieldsOf(a);
  return own.length === fields.size && own.every(([key, value]) => isSame(value, fields.get(key)));
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

function fieldsOf(message: object): [string, unknown][] {
  return Object.entries(message).filter(([, value]) => value !== undefined);
}

function unpack(bits: number): Function {
  return ([planes, shape]) => {
    if (planes?.dtype !== "uint8" || shape?.dtype !== "int64" || planes.shape.length !== 2) return null;
    const sizes = Array.from(shape.data as BigInt64Array, Number);
    const count = boundedSize(sizes, "invalid-onnx", "packed weights", "shape");
    if (planes.shape[0] !== bits || planes.shape[1] !== Math.ceil(count / 8)) return null;
    return tensor("int8", sizes, unpackBitPlanes(planes.data as Uint8Array, bits, count));
  };
}

const shift: Function = ([x, places]) => {
  if (x?.dtype !== "int8" || places?.dtype !== "uint8" || places.data.length !== 1) return null;
  const steps = Number(places.data[0]);
  if (steps > 7) return null;
  const { length } = x.data;
  const words = new Uint32Array(Math.ceil(length / 4));
  const shifted = new Int8Array(words.buffer, 0, length);
  shifted.set(x.data as Int8Array);
  // Four at a time, without what a byte's highest bits put into the next one.
  const mask = 0x01010101 * (256 - 2 ** steps);
  for (let i = 0; i < words.length; i++) words[i] = ((words[i] as number) << steps) & mask;
  return tensor("int8", x.shape, shifted);
};

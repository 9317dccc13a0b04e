// Bytes of an ONNX file to plain objects and back, by the schema in proto/onnx.proto. Nothing is ever thinned:
// a field that the schema does not know is an error, not a loss. Knows no operators; see verify.ts for those.

import { fromLittleEndian, toLittleEndian } from "../base/little-endian.js";
import { errorText, QdgError } from "../base/error.js";
import { checkExpansion } from "./expansion.js";
import type { Int64, ModelProto } from "./model-proto.js";
import type { FieldPlan, MessagePlan } from "./schema.js";
import { modelSchema } from "./schema.js";
import { runSize, utf8Length, varintSize, WIRE, WireError, WireReader, WireWriter } from "./wire.js";

type Message = Record<string, unknown>;
type PackedArray = Float32Array | Float64Array | Int32Array | BigInt64Array | BigUint64Array;

/** Messages inside messages: more than any runtime reads (protobuf's own limit). */
const MAX_DEPTH = 100;
/** The limit of protobuf itself. */
const MAX_BYTES = 2 ** 31 - 1;

/**
 * Reads the bytes of an ONNX file. `rawData` and other byte fields are views on `bytes`, not copies.
 *
 * @param where the file's name, for errors
 * @throws QdgError `invalid-onnx` for bytes that are cut off or malformed, a string that is not UTF-8,
 * messages nested more than 100 deep, and a field that proto/onnx.proto does not name; what checkExpansion throws
 */
export function decodeModel(bytes: Uint8Array, where = "ONNX model"): ModelProto {
  if (bytes.length === 0)
    throw new QdgError("invalid-onnx", where, "the file is empty, expected an ONNX model");
  const reader = new WireReader(bytes);
  try {
    const model: ModelProto = decodeMessage(reader, modelSchema(), reader.bytes.length, {}, where, 0);
    checkExpansion(model, where);
    return model;
  } catch (thrown) {
    if (thrown instanceof QdgError) throw thrown;
    if (!(thrown instanceof WireError)) throw thrown;
    throw new QdgError(
      "invalid-onnx",
      where,
      `is cut off or no ONNX file: at byte ${reader.pos}, ${errorText(thrown)}; fetch the file again`,
      { cause: thrown },
    );
  }
}

/**
 * The bytes of a model, fields in the order of their numbers. `decodeModel(encodeModel(m))` equals m when
 * m's floats are float32, its int64s are numbers wherever that is exact, and its lists are not empty.
 *
 * @throws QdgError `invalid-onnx` for a key that no message has, a value of another type or out of range,
 * two values of one oneof, more than 2 GiB
 */
export function encodeModel(model: ModelProto): Uint8Array {
  const sizes = new Map<object, number>();
  const size = sizeOfMessage(model as Message, modelSchema(), sizes, 0);
  if (size > MAX_BYTES) {
    throw new QdgError(
      "invalid-onnx",
      "ONNX model",
      `has ${size} bytes, expected at most ${MAX_BYTES}: the format allows no more in one file`,
    );
  }
  const writer = new WireWriter(size);
  writeMessage(writer, model as Message, modelSchema(), sizes);
  return writer.bytes;
}

// ---- Decoding ----

function decodeMessage(
  reader: WireReader,
  plan: MessagePlan,
  end: number,
  message: Message,
  where: string,
  depth: number,
): Message {
  if (depth > MAX_DEPTH) {
    throw new QdgError("invalid-onnx", where, `${plan.name} is nested more than ${MAX_DEPTH} deep`);
  }
  // Runs of packed elements are joined once, at the end: a run may hold a single element.
  const runs = new Map<FieldPlan, PackedArray[]>();
  while (reader.pos < end) {
    const start = reader.pos;
    const tag = reader.uint32(end);
    const id = tag >>> 3;
    const wire = tag & 7;
    const field = plan.byId.get(id);
    if (!field) {
      throw new QdgError(
        "invalid-onnx",
        where,
        `${plan.name} has a field number ${id} (byte ${start}) that qdg does not know, and nothing is dropped silently; ` +
          "the file is damaged or of a newer ONNX version: save it for IR version 13 or older",
      );
    }
    if (field.packed) {
      const run = decodeRun(reader, field, wire, end, plan);
      const known = runs.get(field);
      if (known) known.push(run);
      else runs.set(field, [run]);
      continue;
    }
    for (const rival of field.rivals) delete message[rival];
    if (!field.repeated) {
      expectWire(field, wire, plan);
      message[field.key] = decodeValue(reader, field, end, message[field.key], where, depth);
      continue;
    }
    const list = (message[field.key] ??= []) as unknown[];
    if (wire === WIRE.bytes && wireOf(field) !== WIRE.bytes) {
      // A packed run of elements that are usually written one by one: both are valid.
      const stop = reader.runEnd(end);
      while (reader.pos < stop) list.push(decodeValue(reader, field, stop, undefined, where, depth));
    } else {
      expectWire(field, wire, plan);
      list.push(decodeValue(reader, field, end, undefined, where, depth));
    }
    if (list.length === 0) delete message[field.key];
  }
  for (const [field, parts] of runs) {
    const joined = joinRuns(parts, message[field.key] as PackedArray | undefined);
    if (joined.length > 0) message[field.key] = joined;
  }
  return message;
}

function decodeValue(
  reader: WireReader,
  field: FieldPlan,
  end: number,
  before: unknown,
  where: string,
  depth: number,
): unknown {
  switch (field.kind) {
    case "int32":
      return reader.int32(end);
    case "int64":
      return reader.int64(end);
    case "uint64":
      return reader.bigUint64(end);
    case "float":
      return reader.float(end);
    case "double":
      return reader.double(end);
    case "string":
      return reader.string(end);
    case "bytes":
      return reader.view(end);
    case "message": {
      const stop = reader.runEnd(end);
      // A message that comes twice is merged, as protobuf has it.
      const message = (before ?? {}) as Message;
      return decodeMessage(reader, field.message as MessagePlan, stop, message, where, depth + 1);
    }
    default:
      return field.kind satisfies never;
  }
}

/** One run of a packed field, or one element that was written apart. */
function decodeRun(
  reader: WireReader,
  field: FieldPlan,
  wire: number,
  end: number,
  plan: MessagePlan,
): PackedArray {
  let stop = end;
  let one = true;
  if (wire === WIRE.bytes) {
    stop = reader.runEnd(end);
    one = false;
  } else expectWire(field, wire, plan);
  if (field.kind === "float" || field.kind === "double") {
    const size = field.kind === "float" ? 4 : 8;
    const length = one ? size : stop - reader.pos;
    if (length % size !== 0 || length > stop - reader.pos) {
      throw new WireError(`${plan.name}.${field.name}: ${length} bytes hold no whole number of elements`);
    }
    const buffer = fromLittleEndian(reader.bytes.subarray(reader.pos, reader.pos + length), size);
    reader.pos += length;
    return field.kind === "float" ? new Float32Array(buffer) : new Float64Array(buffer);
  }
  // Counted before it is allocated: never more elements than bytes.
  const count = one ? 1 : reader.countVarints(stop);
  const array = newVarintArray(field, count);
  for (let i = 0; i < count; i++) {
    if (array instanceof Int32Array) array[i] = reader.int32(stop);
    else array[i] = array instanceof BigInt64Array ? reader.bigInt64(stop) : reader.bigUint64(stop);
  }
  if (!one && reader.pos !== stop) throw new WireError("the bytes end inside a number");
  return array;
}

function newVarintArray(field: FieldPlan, length: number): Int32Array | BigInt64Array | BigUint64Array {
  if (field.kind === "int32") return new Int32Array(length);
  return field.kind === "int64" ? new BigInt64Array(length) : new BigUint64Array(length);
}

function joinRuns(parts: PackedArray[], before: PackedArray | undefined): PackedArray {
  const all = before ? [before, ...parts] : parts;
  const first = all[0] as PackedArray;
  if (all.length === 1) return first;
  const length = all.reduce((sum, part) => sum + part.length, 0);
  const joined = new (first.constructor as new (length: number) => PackedArray)(length);
  let at = 0;
  for (const part of all) {
    joined.set(part as never, at);
    at += part.length;
  }
  return joined;
}

function expectWire(field: FieldPlan, wire: number, plan: MessagePlan): void {
  const expected = wireOf(field);
  if (wire !== expected) {
    throw new WireError(`${plan.name}.${field.name} has wire type ${wire}, expected ${expected}`);
  }
}

function wireOf(field: FieldPlan): number {
  switch (field.kind) {
    case "int32":
    case "int64":
    case "uint64":
      return WIRE.varint;
    case "float":
      return WIRE.fixed32;
    case "double":
      return WIRE.fixed64;
    case "string":
    case "bytes":
    case "message":
      return WIRE.bytes;
    default:
      return field.kind satisfies never;
  }
}

// ---- Encoding: sizes first, so that the bytes are allocated once and each tensor copied once ----

function sizeOfMessage(
  message: Message,
  plan: MessagePlan,
  sizes: Map<object, number>,
  depth: number,
): number {
  if (depth > MAX_DEPTH) throw invalid(plan, "is nested", `more than ${MAX_DEPTH} deep`);
  const known = sizes.get(message);
  if (known !== undefined) return known;
  for (const key of Object.keys(message)) {
    if (!plan.byKey.has(key)) throw invalid(plan, `has a key ${key}`, "that the format does not have");
  }
  let size = 0;
  for (const field of plan.byId.values()) {
    const value = message[field.key];
    if (value === undefined) continue;
    const rival = field.rivals.find((key) => message[key] !== undefined);
    if (rival) throw invalid(plan, `has both ${field.key} and ${rival}`, "expected one of them");
    const tag = varintSize(field.id * 8);
    if (field.packed) {
      const length = packedLength(field, value, plan);
      if (length > 0) size += tag + runSize(length);
    } else if (field.repeated) {
      if (!Array.isArray(value)) throw invalid(plan, `${field.key} is no list`, "expected a list");
      for (const item of value) size += tag + sizeOfValue(item, field, plan, sizes, depth);
    } else size += tag + sizeOfValue(value, field, plan, sizes, depth);
  }
  sizes.set(message, size);
  return size;
}

function sizeOfValue(
  value: unknown,
  field: FieldPlan,
  plan: MessagePlan,
  sizes: Map<object, number>,
  depth: number,
): number {
  switch (field.kind) {
    case "int32":
      if (typeof value === "number" && (value | 0) === value) return varintSize(value);
      break;
    case "int64":
    case "uint64":
      if (isInteger(value, field.kind === "uint64")) return varintSize(value);
      break;
    case "float":
    case "double":
      if (typeof value === "number") return field.kind === "float" ? 4 : 8;
      break;
    case "string":
      // A lone surrogate has no UTF-8 form.
      if (typeof value === "string" && !/\p{Surrogate}/u.test(value)) return runSize(utf8Length(value));
      break;
    case "bytes":
      if (value instanceof Uint8Array) return runSize(value.length);
      break;
    case "message":
      if (typeof value === "object" && value !== null) {
        return runSize(sizeOfMessage(value as Message, field.message as MessagePlan, sizes, depth + 1));
      }
      break;
    default:
      return field.kind satisfies never;
  }
  const got =
    typeof value === "number" || typeof value === "bigint" ? `${typeof value} ${value}` : typeof value;
  throw invalid(plan, `${field.key}: got ${got}`, `expected ${field.kind}`);
}

function packedLength(field: FieldPlan, value: unknown, plan: MessagePlan): number {
  if (field.kind === "float" && value instanceof Float32Array) return value.byteLength;
  if (field.kind === "double" && value instanceof Float64Array) return value.byteLength;
  if (
    (field.kind === "int32" && value instanceof Int32Array) ||
    (field.kind === "int64" && value instanceof BigInt64Array) ||
    (field.kind === "uint64" && value instanceof BigUint64Array)
  ) {
    let length = 0;
    for (const item of value) length += varintSize(item);
    return length;
  }
  throw invalid(plan, `${field.key} has another type`, `expected a typed array of ${field.kind}`);
}

function isInteger(value: unknown, unsigned: boolean): value is Int64 {
  if (typeof value === "number") return Number.isSafeInteger(value) && (!unsigned || value >= 0);
  if (typeof value !== "bigint") return false;
  return (unsigned ? BigInt.asUintN(64, value) : BigInt.asIntN(64, value)) === value;
}

function writeMessage(
  writer: WireWriter,
  message: Message,
  plan: MessagePlan,
  sizes: ReadonlyMap<object, number>,
): void {
  for (const field of plan.byId.values()) {
    const value = message[field.key];
    if (value === undefined) continue;
    if (field.packed) writePacked(writer, field, value as PackedArray, plan);
    else if (field.repeated) for (const item of value as unknown[]) writeValue(writer, field, item, sizes);
    else writeValue(writer, field, value, sizes);
  }
}

function writeValue(
  writer: WireWriter,
  field: FieldPlan,
  value: unknown,
  sizes: ReadonlyMap<object, number>,
): void {
  writer.varint(field.id * 8 + wireOf(field));
  switch (field.kind) {
    case "int32":
    case "int64":
    case "uint64":
      return writer.varint(value as Int64);
    case "float":
      return writer.float(value as number);
    case "double":
      return writer.double(value as number);
    case "string":
      return writer.string(value as string);
    case "bytes":
      return writer.run(value as Uint8Array);
    case "message":
      writer.varint(sizes.get(value as object) as number);
      return writeMessage(writer, value as Message, field.message as MessagePlan, sizes);
    default:
      return field.kind satisfies never;
  }
}

function writePacked(writer: WireWriter, field: FieldPlan, value: PackedArray, plan: MessagePlan): void {
  if (value.length === 0) return;
  writer.varint(field.id * 8 + WIRE.bytes);
  if (value instanceof Float32Array) return writer.run(toLittleEndian(value, 4));
  if (value instanceof Float64Array) return writer.run(toLittleEndian(value, 8));
  writer.varint(packedLength(field, value, plan));
  for (const item of value) writer.varint(item);
}

function invalid(plan: MessagePlan, what: string, expected: string): QdgError {
  return new QdgError("invalid-onnx", plan.name, `${what}, ${expected}`);
}

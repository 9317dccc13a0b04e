// The ONNX schema laid out for the codec: one plan a message, from the table that is made of proto/onnx.proto. The bytes
// themselves are read and written in wire.ts: protobuf libraries drop fields that a schema does not name and move every
// tensor several times while they write.

import { QdgError } from "../base/error.js";
import { SCHEMA_TABLE } from "./schema-table.js";

export type WireKind = "int32" | "int64" | "uint64" | "float" | "double" | "string" | "bytes" | "message";

export interface FieldPlan {
  readonly id: number;
  /** The name in proto/onnx.proto. */
  readonly name: string;
  /** The key in a plain object: the name in camel case. */
  readonly key: string;
  readonly kind: WireKind;
  readonly repeated: boolean;
  /** Written as one run of elements, and held as a typed array. */
  readonly packed: boolean;
  /** The message of a field of kind "message". */
  readonly message: MessagePlan | null;
  /** Keys of the other fields of its oneof: at most one of them all is set. */
  readonly rivals: readonly string[];
}

export interface MessagePlan {
  readonly name: string;
  readonly byId: ReadonlyMap<number, FieldPlan>;
  readonly byKey: ReadonlyMap<string, FieldPlan>;
}

let modelPlan: MessagePlan | undefined;

/** The plan of ModelProto. */
export function modelSchema(): MessagePlan {
  modelPlan ??= planOf("ModelProto", new Map());
  return modelPlan;
}

const KINDS: ReadonlySet<string> = new Set<WireKind>([
  "int32",
  "int64",
  "uint64",
  "float",
  "double",
  "string",
  "bytes",
]);

function planOf(name: string, done: Map<string, MessagePlan>): MessagePlan {
  const known = done.get(name);
  if (known) return known;
  const byId = new Map<number, FieldPlan>();
  const byKey = new Map<string, FieldPlan>();
  const plan: MessagePlan = { name, byId, byKey };
  done.set(name, plan);
  const fields = (SCHEMA_TABLE[name] ?? []).map(parseField);
  for (const { id, name: field, type, many, oneof } of fields) {
    const isMessage = Object.hasOwn(SCHEMA_TABLE, type);
    if (!isMessage && !KINDS.has(type)) {
      throw new QdgError("internal", "proto/onnx.proto", `${name}.${field} has a type that is not handled`);
    }
    const rivals = fields.filter((other) => oneof !== "" && other.oneof === oneof && other.id !== id);
    const entry: FieldPlan = {
      id,
      name: field,
      key: camelCase(field),
      kind: isMessage ? "message" : (type as WireKind),
      repeated: many !== "",
      packed: many === "+",
      message: isMessage ? planOf(type, done) : null,
      rivals: rivals.map((other) => camelCase(other.name)),
    };
    byId.set(id, entry);
    byKey.set(entry.key, entry);
  }
  return plan;
}

interface Field {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly many: string;
  readonly oneof: string;
}

function parseField(text: string): Field {
  const [, id, name = "", type = "", many = "", oneof = ""] =
    /^(\d+) (\w+) ([\w.]+)([*+]?)(?:\|(\w+))?$/.exec(text) ?? [];
  return { id: Number(id), name, type, many, oneof };
}

function camelCase(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

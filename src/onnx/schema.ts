// proto/onnx.proto, parsed by protobufjs and laid out for the codec: one plan a message. The only file that
// imports protobufjs. The bytes themselves are read and written in wire.ts, since protobufjs drops fields
// that a schema does not name and moves every tensor several times while it writes.

import { readFileSync } from "node:fs";
import protobuf from "protobufjs";
import { QdgError } from "../base/error.js";

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

/** The plan of ModelProto; the schema is read once, when first needed. */
export function modelSchema(): MessagePlan {
  modelPlan ??= compile(readSchema().lookupType("onnx.ModelProto"), new Map());
  return modelPlan;
}

/** The schema as protobufjs sees it. */
export function readSchema(): protobuf.Root {
  // The same number of folders up from src/onnx and from dist/onnx.
  const text = readFileSync(new URL("../../proto/onnx.proto", import.meta.url), "utf8");
  const { root } = protobuf.parse(text, { keepCase: true });
  root.resolveAll();
  return root;
}

function compile(type: protobuf.Type, done: Map<protobuf.Type, MessagePlan>): MessagePlan {
  const known = done.get(type);
  if (known) return known;
  const byId = new Map<number, FieldPlan>();
  const byKey = new Map<string, FieldPlan>();
  const plan: MessagePlan = { name: type.fullName.replace(/^\.?onnx\./, ""), byId, byKey };
  done.set(type, plan);
  // In the order of their numbers, which is the order in which they are written.
  for (const field of type.fieldsArray.toSorted((a, b) => a.id - b.id)) {
    const message = field.resolvedType instanceof protobuf.Type ? compile(field.resolvedType, done) : null;
    const entry: FieldPlan = {
      id: field.id,
      name: field.name,
      key: camelCase(field.name),
      kind: message ? "message" : kindOf(field),
      repeated: field.repeated,
      packed: field.repeated && field.packed,
      message,
      rivals: (field.partOf?.fieldsArray ?? [])
        .filter((other) => other !== field)
        .map((other) => camelCase(other.name)),
    };
    byId.set(entry.id, entry);
    byKey.set(entry.key, entry);
  }
  return plan;
}

function kindOf(field: protobuf.Field): WireKind {
  if (field.resolvedType instanceof protobuf.Enum) return "int32";
  switch (field.type) {
    case "int32":
    case "int64":
    case "uint64":
    case "float":
    case "double":
    case "string":
    case "bytes":
      return field.type;
    default:
      throw new QdgError("internal", "proto/onnx.proto", `${field.fullName} has a type that is not handled`);
  }
}

function camelCase(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

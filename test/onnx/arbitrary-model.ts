// Random ONNX messages, made from the schema: any field may be absent, zero or set.

import * as fc from "fast-check";
import { checkExpansion } from "../../src/onnx/expansion.js";
import type { ModelProto } from "../../src/onnx/model-proto.js";
import type { FieldPlan, MessagePlan } from "../../src/onnx/schema.js";
import { modelSchema } from "../../src/onnx/schema.js";

type Enums = "any" | "known";

const INT64 = fc.oneof(
  fc.constantFrom<number | bigint>(0, -1, 127, 128, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
  fc.constantFrom<number | bigint>(2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)),
  fc.integer(),
);
const FLOAT = fc.oneof(fc.constantFrom(0, -0, NaN, Infinity, -Infinity), fc.float());
const TEXT = fc.oneof(fc.constantFrom("", "\ufeffx", "déjà", "\u{1f600}"), fc.string());
const BYTES = fc.uint8Array({ maxLength: 5 });

function value(field: FieldPlan, depth: number, enums: Enums): fc.Arbitrary<unknown> {
  switch (field.kind) {
    case "int32":
      if (enums === "known" && (field.key === "type" || field.key === "dataLocation")) return fc.nat(1);
      return fc.oneof(fc.constantFrom(0, -1, 2 ** 31 - 1, -(2 ** 31)), fc.integer());
    case "int64":
      return INT64;
    case "uint64":
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    case "float":
      return FLOAT;
    case "double":
      return fc.double();
    case "string":
      return TEXT;
    case "bytes":
      return BYTES;
    case "message":
      return message(field.message as MessagePlan, depth - 1, enums);
    default:
      return field.kind satisfies never;
  }
}

function packed(field: FieldPlan): fc.Arbitrary<unknown> {
  const size = { minLength: 1, maxLength: 4 };
  switch (field.kind) {
    case "int32":
      return fc.int32Array(size);
    case "int64":
      return fc.bigInt64Array(size);
    case "uint64":
      return fc.bigUint64Array(size);
    case "float":
      return fc.float32Array(size);
    case "double":
      return fc.float64Array(size);
    case "string":
    case "bytes":
    case "message":
      throw new Error("such lists are never packed");
    default:
      return field.kind satisfies never;
  }
}

function message(plan: MessagePlan, depth: number, enums: Enums): fc.Arbitrary<object> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of plan.byId.values()) {
    if (field.kind === "message" && depth === 0) continue;
    if (field.packed) fields[field.key] = packed(field);
    else if (field.repeated)
      fields[field.key] = fc.array(value(field, depth, enums), { minLength: 1, maxLength: 2 });
    else fields[field.key] = value(field, depth, enums);
  }
  // Of a oneof only the first that is there stays.
  return fc.record(fields, { requiredKeys: [] }).map((record) => {
    const kept = Object.assign({}, record) as Record<string, unknown>;
    for (const field of plan.byId.values()) {
      if (kept[field.key] !== undefined) for (const rival of field.rivals) delete kept[rival];
    }
    return kept;
  });
}

/**
 * Messages nested up to `depth` deep.
 *
 * @param enums "any": fields of enum types hold any int32, as later versions of the format may have it
 */
export function arbitraryModel(depth = 4, enums: Enums = "any"): fc.Arbitrary<ModelProto> {
  return message(modelSchema(), depth, enums).filter(expands);
}

/** Two functions of one name, or one that calls itself, come up now and then; those are refused. */
function expands(model: ModelProto): boolean {
  try {
    checkExpansion(model, "model");
    return true;
  } catch {
    return false;
  }
}

// Golden: a digest of the format's descriptor, as the Python package onnx has it. Made with onnx 1.23.2 (IR 14) by
//   from onnx import onnx_ml_pb2 as p; import hashlib
//   TYPES = {1:"double",2:"float",3:"int64",4:"uint64",5:"int32",9:"string",11:"message",12:"bytes",14:"enum"}
//   out = []
//   def enum(e): out.extend(f"{e.full_name}.{v.name} = {v.number}" for v in e.values)
//   def message(m):
//       for f in m.fields:
//           kind = (f.message_type or f.enum_type).full_name if f.type in (11, 14) else TYPES[f.type]
//           label = "repeated" if f.is_repeated else "optional"
//           oneof = f" oneof {f.containing_oneof.name}" if f.containing_oneof else ""
//           packed = " packed" if f.is_repeated and f.is_packed else ""
//           out.append(f"{m.full_name}.{f.name} = {f.number} {label} {kind}{oneof}{packed}")
//       for n in m.nested_types: message(n)
//       for e in m.enum_types: enum(e)
//   for m in p.DESCRIPTOR.message_types_by_name.values(): message(m)
//   for e in p.DESCRIPTOR.enum_types_by_name.values(): enum(e)
//   print(len(out), hashlib.sha256("\n".join(sorted(out)).encode()).hexdigest())

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import protobuf from "protobufjs";
import { expect, test } from "vitest";
import { DATA_TYPE, DATA_TYPE_NAMES } from "../../src/onnx/data-type.js";
import { ATTRIBUTE_TYPE } from "../../src/onnx/model-proto.js";
import { readSchema } from "../support/protobuf-schema.js";

const nameOf = (object: protobuf.ReflectionObject): string => object.fullName.replace(/^\./, "");

function lines(namespace: protobuf.NamespaceBase): string[] {
  return namespace.nestedArray.flatMap((object) => {
    if (object instanceof protobuf.Enum) {
      return Object.entries(object.values).map(([name, number]) => `${nameOf(object)}.${name} = ${number}`);
    }
    if (!(object instanceof protobuf.Type)) return lines(object as protobuf.Namespace);
    const fields = object.fieldsArray.map((field) => {
      const kind = field.resolvedType ? nameOf(field.resolvedType) : field.type;
      const label = field.repeated ? "repeated" : "optional";
      const oneof = field.partOf ? ` oneof ${field.partOf.name}` : "";
      const packed = field.repeated && field.packed ? " packed" : "";
      return `${nameOf(object)}.${field.name} = ${field.id} ${label} ${kind}${oneof}${packed}`;
    });
    return [...fields, ...lines(object)];
  });
}

const GOLDEN = {
  lines: 197,
  sha256: "ff7fdbc3a2d11f0fc8fd28626169b83c374abdcb17c437248871be8e8b30beb4",
};

test("names every message, field and enum value of the format, with its number and type", () => {
  const all = lines(readSchema()).sort();
  expect(all).toContain("onnx.AttributeProto.ref_attr_name = 21 optional string");
  expect({ lines: all.length, sha256: createHash("sha256").update(all.join("\n")).digest("hex") }).toEqual(
    GOLDEN,
  );
});

test("the tables of data types and attribute types are those of the schema", () => {
  const types = readSchema().lookupEnum("onnx.TensorProto.DataType").values;
  expect(Object.fromEntries(DATA_TYPE_NAMES.map((name, number) => [name, number]))).toEqual(types);
  const onnxNames = { float32: "FLOAT", float64: "DOUBLE" } as Record<string, string>;
  for (const [dtype, number] of Object.entries(DATA_TYPE)) {
    expect([dtype, types[onnxNames[dtype] ?? dtype.toUpperCase()]]).toEqual([dtype, number]);
  }
  const attributes = readSchema().lookupEnum("onnx.AttributeProto.AttributeType").values;
  const inCapitals = Object.entries(ATTRIBUTE_TYPE).map(([name, number]) => [
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase(),
    number,
  ]);
  expect(Object.fromEntries(inCapitals)).toEqual(attributes);
});

test("the codec's table is what the schema gives", async () => {
  const script = pathToFileURL("scripts/build-schema.mjs").href;
  const { schemaTable } = (await import(script)) as { readonly schemaTable: (proto: string) => string };
  expect(readFileSync("src/onnx/schema-table.ts", "utf8")).toBe(
    schemaTable(readFileSync("proto/onnx.proto", "utf8")),
  );
});

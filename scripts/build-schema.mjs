// Writes src/onnx/schema-table.ts from proto/onnx.proto: fields of every message of the format as text, so that the codec
// needs neither the schema's file nor a parser where it runs. `npm run build` does it first.

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

const HEADER = `// The fields of the ONNX format as proto/onnx.proto has them, a message a list: "number name type", then * where it is
// repeated, + where the elements stand in one run, and |name of the oneof that it belongs to. Written by
// scripts/build-schema.mjs.

export const SCHEMA_TABLE: Readonly<Record<string, readonly string[]>> = {
`;

/** The text of the table. */
export function schemaTable(proto) {
  const { root: schema } = protobuf.parse(proto, { keepCase: true });
  schema.resolveAll();
  const messages = new Map();
  const visit = (type) => {
    const name = nameOf(type);
    if (messages.has(name)) return;
    messages.set(name, []);
    // In the order of their numbers, which is the order in which they are written.
    for (const field of type.fieldsArray.toSorted((a, b) => a.id - b.id)) {
      const { resolvedType } = field;
      if (resolvedType instanceof protobuf.Type) visit(resolvedType);
      const isEnum = resolvedType instanceof protobuf.Enum;
      const kind = isEnum ? "int32" : resolvedType ? nameOf(resolvedType) : field.type;
      const many = field.repeated ? (field.packed ? "+" : "*") : "";
      const oneof = field.partOf ? `|${field.partOf.name}` : "";
      messages.get(name).push(`${field.id} ${field.name} ${kind}${many}${oneof}`);
    }
  };
  visit(schema.lookupType("onnx.ModelProto"));
  const lines = [...messages].map(([name, fields]) => {
    const key = /^\w+$/.test(name) ? name : JSON.stringify(name);
    return `  ${key}: [\n${fields.map((field) => `    ${JSON.stringify(field)},\n`).join("")}  ],\n`;
  });
  return `${HEADER}${lines.join("")}};\n`;
}

const nameOf = (type) => type.fullName.replace(/^\.?onnx\./, "");

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = join(root, "src", "onnx", "schema-table.ts");
  const table = schemaTable(readFileSync(join(root, "proto", "onnx.proto"), "utf8"));
  if (readFileSync(path, "utf8") !== table) writeFileSync(path, table);
}

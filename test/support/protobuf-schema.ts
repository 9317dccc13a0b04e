// proto/onnx.proto as protobufjs reads it: what judges the codec.

import { readFileSync } from "node:fs";
import protobuf from "protobufjs";

export function readSchema(): protobuf.Root {
  const text = readFileSync(new URL("../../proto/onnx.proto", import.meta.url), "utf8");
  const { root } = protobuf.parse(text, { keepCase: true });
  root.resolveAll();
  return root;
}

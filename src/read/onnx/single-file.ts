// A file as a runtime is given it beside what the reader makes of it.

import { readBytes } from "../../base/read-bytes.js";
import { decodeModel, encodeModel } from "../../onnx/codec.js";
import type { ModelProto } from "../../onnx/model-proto.js";
import { withExternalData } from "../../onnx/whole-model.js";
import { withoutLabels } from "./class-labels.js";
import { inSingle } from "./half.js";

/**
 * What stands for a file where a runtime is fed what the graph of it takes, and gives what that gives: in float32 where the file has
 * float16, without outputs that are names of classes, with all tensors inside. null for a file that is that already.
 *
 * @throws QdgError what decoding and {@link withExternalData} throw
 */
export async function bytesOfNetwork(path: string): Promise<Uint8Array | null> {
  const bytes = await readBytes(path);
  const stored = decodeModel(bytes, path);
  if (inNumbers(stored) === stored) return null;
  const whole = withExternalData(bytes, path);
  return encodeModel(inNumbers(whole === bytes ? stored : decodeModel(whole, path)));
}

function inNumbers(model: ModelProto): ModelProto {
  return withoutLabels(inSingle(model).model).model;
}

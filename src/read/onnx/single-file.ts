// A file with float16 in it as a runtime is given it beside what the reader makes of it.

import { readBytes } from "../../base/read-bytes.js";
import { decodeModel, encodeModel } from "../../onnx/codec.js";
import { withExternalData } from "../../onnx/whole-model.js";
import { inSingle } from "./half.js";

/**
 * What stands for a file with float16 in it where a runtime is fed what the graph of it takes: the model in float32, with all tensors
 * inside. null for a file that has none.
 *
 * @throws QdgError what decoding and {@link withExternalData} throw
 */
export async function bytesInSingle(path: string): Promise<Uint8Array | null> {
  const bytes = await readBytes(path);
  const { model, warning } = inSingle(decodeModel(bytes, path));
  if (warning === null) return null;
  const whole = withExternalData(bytes, path);
  return encodeModel(whole === bytes ? model : inSingle(decodeModel(whole, path)).model);
}

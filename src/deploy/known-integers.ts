// The integers that a model is known to have inside, for the self-test: those of its first file in the reference, as
// each of its files holds them. Runs nothing itself.

import { basename } from "node:path";
import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { decodeModel, encodeModel } from "../onnx/codec.js";
import { matchTensors, type TensorPair } from "../parity/match-tensors.js";
import { withOutputs } from "../onnx/with-outputs.js";
import { hashOfIntegers } from "../web/known-integers.js";
import type { KnownIntegers } from "../web/manifest.js";
import type { ModelFile } from "./deployed-models.js";

/** The tensors of a file that hold the integers of the first file's. */
export interface InnerTensors {
  /** As in KnownIntegers. */
  readonly outputs: string;
  readonly pairs: readonly TensorPair[];
}

/** @throws QdgError `unsupported-model` when one of the files quantizes what the other does not hold */
export function innerTensors(first: ModelFile, file: ModelFile): InnerTensors {
  const reference = decodeModel(first.bytes, first.path);
  const model = file === first ? reference : decodeModel(file.bytes, file.path);
  const { pairs, unmatched } = matchTensors(reference, model);
  if (unmatched.length > 0) {
    throw new QdgError(
      "unsupported-model",
      file.path,
      `cannot be compared with ${basename(first.path)} in ${unmatched.length} quantized tensors, the first: ${unmatched[0]}; export both at once with --target wasm,webgpu`,
    );
  }
  const present = model.graph?.output?.length ?? 0;
  const { graph } = withOutputs(
    model,
    pairs.map(({ candidate }) => candidate),
  );
  const added = graph?.output?.slice(present) ?? [];
  const bytes = added.length === 0 ? new Uint8Array(0) : encodeModel({ graph: { output: added } });
  return { outputs: Buffer.from(bytes).toString("base64"), pairs };
}

/**
 * `q - referenceOffset + candidateOffset` of every tensor of the first file, as hashes.
 *
 * @param results of the first file in the reference
 * @throws QdgError `runtime` for a tensor that does not hold integers
 */
export async function knownIntegers(
  { outputs, pairs }: InnerTensors,
  results: Readonly<Record<string, Tensor>>,
): Promise<KnownIntegers> {
  const tensors = [];
  for (const { reference, candidate, referenceOffset, candidateOffset } of pairs) {
    const sha256 = await hashOfIntegers(results[reference.name], candidateOffset - referenceOffset);
    if (sha256 === null) {
      throw new QdgError(
        "runtime",
        reference.name,
        "holds no integers in the reference; the model cannot be deployed",
      );
    }
    tensors.push({ name: candidate.name, sha256 });
  }
  return { outputs, tensors };
}

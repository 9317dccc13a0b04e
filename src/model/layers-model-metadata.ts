// How images become the input of a layers-model and what its classes are called, as the model itself says. Chooses nothing
// where it does not.

import { type Preprocessing, preprocessingFromJson } from "../image/preprocessing.js";
import { parseLearned } from "../quant/learned.js";
import type { OnnxMetadata } from "./onnx-metadata.js";

/** What says it: what training wrote into model.json, and a metadata.json beside it. */
export interface DescribedModel {
  readonly userDefinedMetadata?: unknown;
  readonly metadata?: {
    readonly preprocessing?: Preprocessing;
    readonly labels?: readonly string[];
  } | null;
}

/**
 * Each from what training wrote, else from Teachable Machine's metadata.json, else null.
 *
 * @throws QdgError `invalid-quantization` for learned scales that are none, `invalid-data` for a preprocessing that is
 * none
 */
export function layersModelMetadata(
  { userDefinedMetadata, metadata }: DescribedModel,
  where = "model",
): Pick<OnnxMetadata, "preprocessing" | "labels"> {
  const learned = parseLearned(userDefinedMetadata);
  const carried = learned?.preprocessing;
  return {
    preprocessing:
      carried === undefined
        ? (metadata?.preprocessing ?? null)
        : preprocessingFromJson(carried, `${where}, userDefinedMetadata.qdg.preprocessing`),
    labels: learned?.labels ?? metadata?.labels ?? null,
  };
}

/** The first of {@link layersModelMetadata}. */
export function preprocessingOf(model: DescribedModel, where = "model"): Preprocessing | null {
  return layersModelMetadata(model, where).preprocessing;
}

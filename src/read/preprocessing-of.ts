// How images become the input of a layers model, as the model itself says. Chooses nothing where it does not.

import { type Preprocessing, preprocessingFromJson } from "../image/preprocessing.js";
import { parseLearned } from "../quant/learned.js";

/** What says it: what training wrote into model.json, and a metadata.json beside it. */
export interface CarriesPreprocessing {
  readonly userDefinedMetadata?: unknown;
  readonly metadata?: { readonly preprocessing?: Preprocessing } | null;
}

/**
 * What training wrote, else what Teachable Machine's metadata.json says, else null.
 *
 * @throws QdgError `invalid-quantization` for learned scales that are none, `invalid-data` for a preprocessing that is
 * none
 */
export function preprocessingOf(
  { userDefinedMetadata, metadata }: CarriesPreprocessing,
  where = "model",
): Preprocessing | null {
  const carried = parseLearned(userDefinedMetadata)?.preprocessing;
  if (carried === undefined) return metadata?.preprocessing ?? null;
  return preprocessingFromJson(carried, `${where}, userDefinedMetadata.qdg.preprocessing`);
}

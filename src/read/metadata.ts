// metadata.json as Teachable Machine writes it beside model.json: what images the model expects and what
// its classes are called.

import { errorText, QdgError } from "../base/error.js";
import type { Preprocessing } from "../image/preprocessing.js";

export interface TeachableMachineMetadata {
  readonly modelName?: string;
  /** One name a class, in the order of the outputs. */
  readonly labels: readonly string[];
  /** For image models: pixels to [-1, 1], the centered square scaled to the input's size. */
  readonly preprocessing?: Preprocessing;
}

function imagePreprocessing(channels: number): Preprocessing {
  return {
    range: [-1, 1],
    mean: Array<number>(channels).fill(0),
    std: Array<number>(channels).fill(1),
    resize: "center-crop",
  };
}

/**
 * Reads metadata.json; undefined when it is not Teachable Machine's, since the name is a common one.
 *
 * @throws QdgError `invalid-json`, or `invalid-data` when labels are not a list of names
 */
export function parseTeachableMachineMetadata(
  text: string,
  where: string,
): TeachableMachineMetadata | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (thrown) {
    throw new QdgError("invalid-json", where, `is not JSON (${errorText(thrown)}); repair or remove it`, {
      cause: thrown,
    });
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const metadata = parsed as Readonly<Record<string, unknown>>;
  const packageName = Object.hasOwn(metadata, "packageName") ? metadata["packageName"] : undefined;
  if (typeof packageName !== "string" || !packageName.startsWith("@teachablemachine/")) return undefined;
  const { labels, modelName } = metadata;
  if (!Array.isArray(labels) || !labels.every((label) => typeof label === "string")) {
    throw new QdgError(
      "invalid-data",
      where,
      `labels: got ${JSON.stringify(labels)}, expected a list of names`,
    );
  }
  return {
    labels: labels,
    ...(typeof modelName === "string" ? { modelName } : {}),
    ...(packageName === "@teachablemachine/image"
      ? { preprocessing: imagePreprocessing(metadata["grayscale"] === true ? 1 : 3) }
      : {}),
  };
}

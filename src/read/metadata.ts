// metadata.json as Teachable Machine writes it beside model.json, for images, poses and sounds: what images the model expects
// and what its classes are called.

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
  const own = (key: string): unknown => (Object.hasOwn(metadata, key) ? metadata[key] : undefined);
  const packageName = own("packageName");
  // Models of sounds come from another package, which has its own names.
  const ofSounds = typeof own("tfjsSpeechCommandsVersion") === "string";
  const ofMachine = typeof packageName === "string" && packageName.startsWith("@teachablemachine/");
  if (!ofSounds && !ofMachine) return undefined;
  const key = ofSounds ? "wordLabels" : "labels";
  const [labels, modelName] = [own(key), own("modelName")];
  if (!Array.isArray(labels) || !labels.every((label) => typeof label === "string")) {
    throw new QdgError(
      "invalid-data",
      where,
      `${key}: got ${(JSON.stringify(labels) ?? "nothing").slice(0, 80)}, expected a list of names; save the model again, or remove the file`,
    );
  }
  return {
    labels,
    ...(typeof modelName === "string" ? { modelName } : {}),
    ...(packageName === "@teachablemachine/image"
      ? { preprocessing: imagePreprocessing(metadata["grayscale"] === true ? 1 : 3) }
      : {}),
  };
}

// The models that come with qdg: the list of names, and what each may be given. The models themselves are one
// file each; none is pretrained.

import { QdgError } from "../../base/error.js";
import type { LayersModel } from "../layers-model-file.js";
import { mobilenetV2 } from "./mobilenet-v2.js";
import { resnet18, type ResnetStem } from "./resnet18.js";
import { resnet8 } from "./resnet8.js";

export const MODEL_NAMES = ["resnet8", "resnet18", "mobilenet-v2"] as const;
export type ModelName = (typeof MODEL_NAMES)[number];

export interface BuiltInOptions {
  /** Pixels on each side, 8..1024. */
  readonly imageSize: number;
  /** 2 or more. */
  readonly classes: number;
  /** Of mobilenet-v2 alone: 0.25..1.4, 1 when absent. */
  readonly width?: number;
  /** Of resnet18 alone; when absent "cifar" up to 64 px, "imagenet" above. */
  readonly stem?: ResnetStem;
  /** 0..2^32 - 1: one seed, one model. */
  readonly seed: number;
}

const LARGEST_CIFAR_IMAGE = 64;

export function isModelName(name: string): name is ModelName {
  return (MODEL_NAMES as readonly string[]).includes(name);
}

/**
 * A built-in model with initial weights: He normal kernels, batch normalization as the identity, and a head
 * named "classes" (Dense, softmax) whose bias is 0. Images are [N, size, size, 3], preprocessed as the caller
 * likes.
 *
 * @throws QdgError `usage` for another name, or an option that is out of range or not this model's
 */
export function builtInModel(name: string, options: BuiltInOptions): LayersModel {
  const { imageSize, classes, width, stem, seed } = options;
  if (!isModelName(name)) {
    throw new QdgError(
      "usage",
      "model",
      `got ${JSON.stringify(name)}, expected ${MODEL_NAMES.join(", ")} or the path of a model.json or an .onnx file`,
    );
  }
  checkInteger("image size", imageSize, 8, 1024, name);
  checkInteger("classes", classes, 2, 65536, name);
  checkInteger("seed", seed, 0, 2 ** 32 - 1, name);
  if (width !== undefined && name !== "mobilenet-v2") refuse(name, "width", "mobilenet-v2");
  if (stem !== undefined && name !== "resnet18") refuse(name, "stem", "resnet18");
  switch (name) {
    case "resnet8":
      return resnet8(imageSize, classes, seed);
    case "resnet18": {
      const chosen = stem ?? (imageSize <= LARGEST_CIFAR_IMAGE ? "cifar" : "imagenet");
      if (chosen !== "cifar" && chosen !== "imagenet") {
        throw new QdgError("usage", name, `stem: got ${JSON.stringify(stem)}, expected cifar or imagenet`);
      }
      return resnet18(imageSize, classes, chosen, seed);
    }
    case "mobilenet-v2":
      if (width !== undefined && !(width >= 0.25 && width <= 1.4)) {
        throw new QdgError("usage", name, `width: got ${width}, expected a number in 0.25..1.4`);
      }
      return mobilenetV2(imageSize, classes, width ?? 1, seed);
    default:
      return name satisfies never;
  }
}

function checkInteger(what: string, x: number, least: number, most: number, model: ModelName): void {
  if (Number.isInteger(x) && x >= least && x <= most) return;
  throw new QdgError("usage", model, `${what}: got ${x}, expected an integer in ${least}..${most}`);
}

function refuse(model: ModelName, option: string, owner: ModelName): never {
  throw new QdgError("usage", model, `has no ${option}, which is of ${owner} alone; leave it out`);
}

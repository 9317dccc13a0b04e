// What every writer of a trained model asks of its weights first: a file with a number that is none is worse than no file.

import { QdgError } from "../base/error.js";
import { sizeOf, type Tensor } from "../base/tensor.js";

/** @throws QdgError `invalid-weights` for NaN and infinities, or data that do not fill the shape, naming the weight */
export function checkWeights(weights: ReadonlyMap<string, Tensor<"float32">>): void {
  for (const [name, { shape, data }] of weights) {
    if (data.length !== sizeOf(shape)) {
      throw new QdgError(
        "invalid-weights",
        name,
        `got ${data.length} elements, expected ${sizeOf(shape)} for shape [${shape.join(", ")}]`,
      );
    }
    const broken = data.findIndex((x) => !Number.isFinite(x));
    if (broken < 0) continue;
    throw new QdgError(
      "invalid-weights",
      name,
      `element ${broken} is ${data[broken]}, expected a finite number; the training has diverged, so nothing was saved`,
    );
  }
}

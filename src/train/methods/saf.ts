// SAF: sharpness-aware training at the cost of plain training, by what the network itself said of an image some epochs
// earlier. Here is the memory of that: outputs by image. It computes no loss and moves nothing.

import { QdgError } from "../../base/error.js";
import type { StateReader, StateWriter } from "./method-state.js";

/**
 * Du et al., NeurIPS 2022, equations 8 and 9: a steep loss falls fast, so that outputs that differ much from those of
 * earlier weights tell of a sharp place. The step is lsq's on
 *
 *     L + lambda / |B| sum over the batch of KL(softmax(f_old(x) / tau) || softmax(f(x) / tau))
 *
 * with f_old the outputs that the network gave for the same image E epochs before, augmented as it was then. An image that
 * has none yet adds nothing, and |B| counts it. Outputs are kept from the first quantized step on: what the network said in
 * full precision differs by rounding too, which is no sharpness.
 *
 * lambda 0.3 and tau 5 are the paper's. It has E = 3 in 200 epochs, a hundredth or two of the run, and begins after 5; runs
 * here are of 20 to 60 epochs, of which one is as large a part, so E is 1, and the loss begins with the first output that is
 * old enough.
 */
export class EarlierOutputs {
  readonly #images: number;
  readonly #epochs: number;
  /** Per output; 0 before the first. */
  #classes = 0;
  /** [images, epochs, classes]: of visit v of an image at place v mod E. */
  #outputs: Float32Array = new Float32Array(0);
  /** [images] */
  readonly #visits: Float32Array;

  /** @param images that train, of all domains; @param epochs E */
  constructor(images: number, epochs: number) {
    this.#images = images;
    this.#epochs = epochs;
    this.#visits = new Float32Array(images);
  }

  /**
   * What the network said of each image E visits ago.
   *
   * @param images their numbers
   * @returns outputs [N, classes], zeros where there are none, and 1 or 0 for whether there are; null where no image has any
   */
  of(images: Int32Array): { readonly outputs: Float32Array; readonly known: Float32Array } | null {
    const known = Float32Array.from(images, (image) =>
      (this.#visits[image] as number) >= this.#epochs ? 1 : 0,
    );
    if (!known.includes(1)) return null;
    const outputs = new Float32Array(images.length * this.#classes);
    images.forEach((image, n) => {
      if (known[n] === 1) outputs.set(this.#at(image), n * this.#classes);
    });
    return { outputs, known };
  }

  /**
   * Keeps what the network says now; of an image that comes twice, each.
   *
   * @param outputs [N, classes]
   * @throws QdgError `internal` for another number of classes than before, or an image that is none
   */
  put(images: Int32Array, outputs: Float32Array): void {
    const classes = outputs.length / images.length;
    if (this.#classes === 0) this.#begin(classes);
    if (classes !== this.#classes || images.some((image) => image >= this.#images)) {
      throw new QdgError(
        "internal",
        "EarlierOutputs",
        `got outputs of ${classes} classes, expected ${this.#classes}, of ${this.#images} images`,
      );
    }
    images.forEach((image, n) => {
      this.#at(image).set(outputs.subarray(n * classes, (n + 1) * classes));
      this.#visits[image] = (this.#visits[image] as number) + 1;
    });
  }

  #begin(classes: number): void {
    this.#classes = classes;
    this.#outputs = new Float32Array(this.#images * this.#epochs * classes);
  }

  /** The place of the oldest output, where the next one goes. */
  #at(image: number): Float32Array {
    const place = (this.#visits[image] as number) % this.#epochs;
    const start = (image * this.#epochs + place) * this.#classes;
    return this.#outputs.subarray(start, start + this.#classes);
  }

  save(state: StateWriter): void {
    state.count("classes", this.#classes);
    state.array("visits", this.#visits);
    state.array("outputs", this.#outputs);
  }

  /** @throws QdgError `invalid-data` for what was kept of other images, or of another number of epochs */
  load(state: StateReader): void {
    this.#begin(state.count("classes"));
    this.#visits.set(state.array("visits", this.#images, 0));
    this.#outputs.set(state.array("outputs", this.#outputs.length, -Infinity));
  }
}

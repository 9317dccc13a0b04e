import { expect, test } from "vitest";
import { evaluationInterval } from "../../../src/train/run/evaluation-interval.js";

test.each([
  // Of few images, ten a run.
  [1000, 300, 96, 1, 100],
  [7, 1, 96, 1, 1],
  // 6,600 forward passes are a tenth of 22,000 of 3 passes: 458.3 steps of 48 images.
  [1500, 6600, 48, 1, 459],
  [1500, 6600, 48, 2, 230],
  // At the end at least.
  [40, 6600, 48, 1, 40],
])(
  "a run of %i steps with %i images to evaluate and %i a step, of %i gradients, is evaluated every %i steps",
  (steps, evaluated, trained, gradients, every) => {
    expect(evaluationInterval(steps, evaluated, trained, gradients)).toBe(every);
  },
);

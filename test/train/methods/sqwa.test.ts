import { beforeAll, describe, expect, test } from "vitest";
import { createMethod } from "../../../src/train/methods/create-method.js";
import { Quadratic } from "../support/objectives.js";
import { setTestBackend } from "../support/tfjs-backends.js";

describe("sqwa", () => {
  beforeAll(() => setTestBackend("cpu"));

  test("goes on from the mean of the low points of its cycles, with fresh moments", () => {
    const options = { steps: 20, cycles: 2, fineTuning: 0.4, plainSteps: 2 };
    const start = { name: "w", start: [3, -2], curvature: [1, 2] };
    const [objective, plain] = [new Quadratic([start]), new Quadratic([start])];
    const method = createMethod("sqwa", objective.trainables, options);
    const lsq = createMethod("lsq", plain.trainables, options);
    // From step 2 on: two cycles of 5.5 steps, then 7 steps of 18 fine-tune.
    const points: number[][] = [];
    for (let step = 0; step < 13; step++) {
      method.step(objective, [[0, 1]], step, 0.1);
      lsq.step(plain, [[0, 1]], step, 0.1);
      points.push(plain.point()[0] as number[]);
    }
    const mean = [0, 1].map((i) => ((points[7]?.[i] as number) + (points[12]?.[i] as number)) / 2);
    objective.point()[0]?.forEach((x, i) => expect(x).toBeCloseTo(mean[i] as number, 6));
    // Adam's first step from there is as long as the rate.
    method.step(objective, [[0, 1]], 13, 0.01);
    objective.point()[0]?.forEach((x, i) => expect(Math.abs(x - (mean[i] as number))).toBeCloseTo(0.01, 5));
    objective.dispose();
    plain.dispose();
  });
});

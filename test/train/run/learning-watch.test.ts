import { describe, expect, test } from "vitest";
import { completeOptions } from "../../../src/train/run/complete-options.js";
import type { Evaluation } from "../../../src/train/run/evaluate-domains.js";
import { LearningWatch, type Said } from "../../../src/train/run/learning-watch.js";
import type { AskedTrainOptions } from "../../../src/train/run/train-options.js";

const CLASSES = 7;
const watchOf = (asked: AskedTrainOptions): LearningWatch =>
  new LearningWatch(
    completeOptions({ data: "photos", testDomain: ["none"], method: "lsq", ...asked }),
    CLASSES,
  );
/** 7 of 48 are right by chance, and up to 11 within two standard deviations. */
const GUESSED = { images: 48, classes: 5, right: 11 };
const PRETRAINED: AskedTrainOptions = { model: "a/model.json" };

/** What is said of the loss after each step of these losses. */
function told(
  watch: LearningWatch,
  losses: readonly number[],
  quantized = false,
): (readonly [number, string | null])[] {
  return losses.flatMap((loss, i) =>
    watch.stepped(loss, quantized) ? [[i + 1, watch.judgeLoss(GUESSED)] as const] : [],
  );
}

/** What is said after 20 losses of guessing. */
function judged(said: Said): string | null {
  const watch = watchOf({ steps: 200 });
  for (const loss of constant(1.94, 20)) watch.stepped(loss, false);
  return watch.judgeLoss(said);
}

const constant = (loss: number, count: number): number[] => Array.from({ length: count }, () => loss);
const onlyText = (watch: LearningWatch, quantized = false): string | null =>
  told(watch, constant(1.94, 400), quantized)[0]?.[1] ?? null;

describe("losses", () => {
  test("are judged once, after a quarter of the steps, or a tenth where the model was trained before", () => {
    const found = told(watchOf({ steps: 200 }), constant(1.94, 400));
    expect(found.map(([step]) => step)).toEqual([50]);
    const pretrained = told(watchOf({ ...PRETRAINED, steps: 500 }), constant(1.94, 400));
    expect(pretrained.map(([step]) => step)).toEqual([50]);
    expect(found[0]?.[1]).toMatch(
      /^it does not learn: after 50 steps in full precision the loss is 1\.94, guessing among 7 classes has 1\.95; /,
    );
  });

  test("of a few steps say nothing", () => {
    expect(told(watchOf({ steps: 30 }), constant(1.94, 19))).toEqual([]);
    expect(told(watchOf({ steps: 30 }), constant(1.94, 30)).map(([step]) => step)).toEqual([20]);
  });

  test("that have fallen in the second half are fine, and those that rose are not", () => {
    const falls = [...constant(4, 25), ...constant(1.5, 25)];
    expect(told(watchOf({ steps: 200 }), falls)).toEqual([[50, null]]);
    expect(told(watchOf({ steps: 200 }), falls.toReversed())[0]?.[1]).toContain("the loss is 4.00");
  });

  test("of a network that finds more than chance would are fine, but not if it says one class", () => {
    expect(judged(GUESSED)).not.toBeNull();
    expect(judged({ ...GUESSED, right: 12 })).toBeNull();
    expect(judged({ images: 48, classes: 1, right: 12 })).toMatch(/and the network says one class whatever/);
  });

  test("are judged anew once quantizers begin", () => {
    const watch = watchOf({ steps: 200 });
    expect(told(watch, constant(0.5, 60))).toEqual([[50, null]]);
    expect(told(watch, constant(1.95, 60), true)[0]?.[1]).toContain("after 50 steps with quantizers");
  });
});

describe("the likely reason is", () => {
  test.each<[string, AskedTrainOptions, boolean, RegExp]>([
    [
      "frozen statistics",
      { ...PRETRAINED, statistics: "frozen" },
      true,
      /--statistics frozen.*take .*batch$/,
    ],
    ["a low rate", { ...PRETRAINED, learningRate: 1e-4 }, false, /--learning-rate 0\.0001, which is low/],
    ["a high rate", { learningRate: 0.1 }, false, /--learning-rate 0\.1, which is high/],
    ["a cold start", { ...PRETRAINED, floatSteps: 0 }, true, /--float-steps 0: quantizers began before/],
    [
      "activations of few bits",
      { ...PRETRAINED, bits: 3 },
      true,
      /activations have 3 bits; take --activation/,
    ],
    [
      "weights of few bits",
      { ...PRETRAINED, bits: 2, activationBits: 8 },
      true,
      /weights have 2 bits; take more, or more --steps than 1000$/,
    ],
    ["the data, where nothing else stands out", PRETRAINED, false, /folders hold what their names say/],
  ])("%s", (_, asked, quantized, says) => {
    expect(onlyText(watchOf(asked), quantized)).toMatch(says);
  });
});

describe("a network that says one class", () => {
  test("is told of once, with the number of images", () => {
    const watch = watchOf({});
    expect(watch.judgeClasses({ images: 48, classes: 1 })).toMatch(/one class for all of 48 images; /);
    expect(watch.judgeClasses({ images: 48, classes: 1 })).toBeNull();
  });

  test("while its loss falls is one whose statistics lag behind", () => {
    const watch = watchOf({ ...PRETRAINED, bits: 3 });
    for (const loss of constant(1.2, 30)) watch.stepped(loss, true);
    expect(watch.judgeClasses({ images: 48, classes: 1 })).toMatch(
      /moving statistics .* lag behind; see the next/,
    );
    const frozen = watchOf({ ...PRETRAINED, statistics: "frozen" });
    for (const loss of constant(1.2, 30)) frozen.stepped(loss, true);
    expect(frozen.judgeClasses({ images: 48, classes: 1 })).toMatch(/--statistics frozen/);
  });

  test("of too few images, or of some classes, is not", () => {
    expect(watchOf({}).judgeClasses({ images: 13, classes: 1 })).toBeNull();
    expect(watchOf({}).judgeClasses({ images: 48, classes: 2 })).toBeNull();
  });
});

/** Of quantized networks, or of those in full precision. */
function evaluation(step: number, validation: number, quantized = true): Evaluation {
  return {
    step,
    quantized,
    domains: [
      { name: "photo", role: "source", training: 0.9, validation, all: 0.8 },
      // Never selected by.
      { name: "sketch", role: "test", training: step, validation: step, all: step },
    ],
  };
}

/** What is said after which step. */
function plateaus(evaluations: readonly Evaluation[]): [number, string][] {
  const watch = watchOf({});
  return evaluations.flatMap((each) => {
    const text = watch.judgePlateau(each);
    return text === null ? [] : [[each.step, text] as [number, string]];
  });
}

describe("a plateau", () => {
  test("is named after three evaluations that are no better, once, with the best one", () => {
    const course = [0.5, 0.7, 0.7, 0.6, 0.65, 0.7, 0.5].map((x, i) => evaluation(10 * (i + 1), x));
    expect(plateaus(course)).toEqual([
      [
        50,
        "a plateau: the last 3 evaluations were no better than that after step 20, 70.0 % of the sources' validation images",
      ],
    ]);
  });

  test("ends with a better one, and another is named again", () => {
    const course = [0.7, 0.6, 0.6, 0.6, 0.71, 0.7, 0.7, 0.7].map((x, i) => evaluation(i, x));
    expect(plateaus(course).map(([step]) => step)).toEqual([3, 7]);
  });

  test("is of one phase: quantizers may begin lower", () => {
    const course = [0.7, 0.6, 0.6, 0.5].map((x, i) => evaluation(i, x, i === 3));
    expect(plateaus(course)).toEqual([]);
  });
});

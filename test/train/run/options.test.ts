import { describe, expect, test } from "vitest";
import { METHOD_NAMES } from "../../../src/train/methods/methods.js";
import { MODEL_NAMES } from "../../../src/train/models/built-in.js";
import { methodSettings } from "../../../src/train/methods/method-options.js";
import { AUGMENTATIONS } from "../../../src/train/data/augment.js";
import { BACKEND_NAMES } from "../../../src/train/backends/backends.js";
import { SCALE_PARAMETERIZATIONS } from "../../../src/train/quantizers/quantizer.js";
import {
  completeOptions,
  methodOptions,
  quantizedFrom,
  resumedOptions,
} from "../../../src/train/run/complete-options.js";
import { parseOption } from "../../../src/train/run/option-kinds.js";
import { recipesByBits } from "../../../src/train/run/prepare-run.js";
import { OPTION_GROUPS } from "../../../src/train/run/option-groups.js";
import { flagOf, TRAIN_OPTIONS } from "../../../src/train/run/option-table.js";
import {
  type AskedTrainOptions,
  BUILT_IN_MODELS,
  type TrainOptionName,
} from "../../../src/train/run/train-options.js";

const LEAST: AskedTrainOptions = { data: "shapes-dg", testDomain: ["sketch"] };

describe("the table of options", () => {
  test("stands under the headings of --help, each option once", () => {
    const listed = Object.values(OPTION_GROUPS).flat();
    expect([...listed].sort()).toEqual(Object.keys(TRAIN_OPTIONS).sort());
    expect(new Set(listed).size).toBe(listed.length);
  });

  test("names what the parts know by these names, without loading them", () => {
    expect(choices("method")).toEqual(METHOD_NAMES);
    expect(BUILT_IN_MODELS).toEqual(MODEL_NAMES);
    expect(choices("augmentation")).toEqual(AUGMENTATIONS);
    expect(choices("backend")).toEqual(["auto", ...BACKEND_NAMES]);
    expect(choices("scaleParameterization")).toEqual(SCALE_PARAMETERIZATIONS);
  });

  test("has the defaults of the methods themselves", () => {
    for (const steps of [10, 1000, 5000]) {
      for (const thresholdMode of ["value", "margin", "quantile"] as const) {
        const options = completeOptions({ ...LEAST, steps, thresholdMode });
        expect(methodSettings(methodOptions(options))).toEqual(methodSettings({ steps, thresholdMode }));
      }
    }
  });

  test("writes flags as people type them", () => {
    expect(flagOf("testDomain")).toBe("--test-domain");
    expect(flagOf("qtDogStart")).toBe("--qt-dog-start");
    expect(flagOf("perturbScales")).toBe("--no-perturb-scales");
    expect(flagOf("skipBroken")).toBe("--skip-broken");
  });
});

describe("defaults", () => {
  test("without labels are the teacher as it is", () => {
    const asked = { ...LEAST, unlabeled: true, teacher: "a/model.json" };
    const own = { model: "a/model.json", keepHead: true, floatSteps: 0, learningRate: 1e-3 };
    expect(completeOptions(asked)).toMatchObject(own);
    const other = { model: "b/model.json", keepHead: false, floatSteps: 200 };
    expect(completeOptions({ ...asked, model: "b/model.json" })).toMatchObject(other);
  });

  test("are those of a network from random weights, or of a trained one", () => {
    expect(completeOptions(LEAST)).toMatchObject({
      method: "gaqat",
      model: "resnet8",
      bits: 4,
      weightBits: 4,
      activationBits: 4,
      firstLastBits: 8,
      imageSize: 32,
      statistics: "batch",
      learningRate: 3e-3,
      warmup: 50,
      window: 100,
      floatSteps: 0,
      evalEvery: null,
    });
    expect(completeOptions({ ...LEAST, model: "a/model.json" })).toMatchObject({
      imageSize: null,
      statistics: "batch",
      learningRate: 1e-3,
      floatSteps: 200,
      warmup: 0,
    });
  });

  test("are no flips for drawn figures that a mirror makes another of", () => {
    expect(completeOptions(LEAST).augmentation).toBe("domainbed");
    const digits = { ...LEAST, data: "digits-drawn" };
    expect(completeOptions(digits).augmentation).toBe("no-flip");
    expect(completeOptions({ ...digits, augmentation: "domainbed" }).augmentation).toBe("domainbed");
    expect(completeOptions({ ...LEAST, data: "./digits-drawn" }).augmentation).toBe("domainbed");
  });

  test("of a trained model give way to what was asked, and its rate to frozen statistics", () => {
    const model = "a/model.json";
    const asked = { model, statistics: "batch", learningRate: 1e-5, floatSteps: 0, evalEvery: 7 };
    expect(completeOptions({ ...LEAST, ...asked })).toMatchObject(asked);
    expect(completeOptions({ ...LEAST, model, statistics: "frozen" })).toMatchObject({ learningRate: 1e-4 });
  });

  test.each(["erm", "sagm", "qt-dog"])("of %s have no start in full precision of their own", (method) => {
    expect(completeOptions({ ...LEAST, model: "a/model.json", method })).toMatchObject({ floatSteps: 0 });
  });

  test("of bits follow --bits, and are none where nothing is quantized", () => {
    expect(completeOptions({ ...LEAST, bits: 3, weightBits: 2 })).toMatchObject({
      weightBits: 2,
      activationBits: 3,
    });
    const none = { bits: null, weightBits: null, activationBits: null, firstLastBits: null };
    expect(completeOptions({ ...LEAST, method: "sagm" })).toMatchObject(none);
    const weights = { bits: 7, weightBits: 7, activationBits: null, qtDogStart: 400 };
    expect(completeOptions({ ...LEAST, method: "qt-dog" })).toMatchObject(weights);
  });

  test("of eq-net are 2 to 8 bits, four of them evaluated, and --activation-bits of all where it is given", () => {
    const eqNet = { ...LEAST, method: "eq-net" };
    expect(completeOptions(eqNet)).toMatchObject({
      bits: null,
      weightBits: null,
      activationBits: null,
      firstLastBits: 8,
      bitSet: [2, 3, 4, 5, 6, 7, 8],
      evaluateBits: [2, 3, 4, 8],
    });
    expect(completeOptions({ ...eqNet, bitSet: [3, 8] }).evaluateBits).toEqual([3, 8]);
    const inner = { match: { role: "inner" } };
    expect(bitsOf({ ...eqNet, bitSet: [3, 8] })).toEqual([
      [3, { ...inner, weightBits: 3, activationBits: 3 }],
      [8, { ...inner, weightBits: 8, activationBits: 8 }],
    ]);
    expect(bitsOf({ ...eqNet, bitSet: [2, 3], activationBits: 8 })).toEqual([
      [2, { ...inner, weightBits: 2, activationBits: 8 }],
      [3, { ...inner, weightBits: 3, activationBits: 8 }],
    ]);
    expect(recipesByBits(completeOptions(LEAST))).toBe(null);
    expect(resumedOptions(completeOptions(eqNet), {}, "c")).toEqual(completeOptions(eqNet));
  });

  test("of lists are read from text in any order", () => {
    const { kind } = TRAIN_OPTIONS.bitSet;
    expect(parseOption(kind, "8, 2,4", "--bit-set")).toEqual([2, 4, 8]);
    for (const text of ["2,x", "2,2", "2", "", "2,,4", "1,2"]) {
      expect(catching(() => parseOption(kind, text, "--bit-set"))).toMatchObject({ where: "--bit-set" });
    }
  });

  test.each([
    ["gaqat", {}, 0],
    ["gaqat", { floatSteps: 30 }, 30],
    ["qt-dog", { qtDogStart: 7 }, 7],
    ["erm", {}, 100],
  ])("%s with %o is quantized from step %i of 100", (method, more, step) => {
    expect(quantizedFrom(completeOptions({ ...LEAST, steps: 100, method, ...more }))).toBe(step);
  });
});

const PRETRAINED = { model: "a/model.json" };
const ROWS: readonly (readonly [what: string, asked: object, says: RegExp])[] = [
  ["no data", { data: undefined }, /^--data: got nothing; it has no default: images as/],
  ["no test domain", { testDomain: undefined }, /^--test-domain: got nothing/],
  [
    "an empty list of test domains",
    { testDomain: [] },
    /^--test-domain: got \[\], expected one name or more/,
  ],
  ["an unknown option", { learnRate: 1 }, /^learnRate: is no option of a training run/],
  ["an unknown method", { method: "adam" }, /^--method: got "adam", expected erm or sam or .*gaqat/],
  ["1 bit", { bits: 1 }, /^--bits: got 1, expected a whole number from 2 to 8/],
  ["9 bits", { weightBits: 9 }, /^--weight-bits: got 9, expected a whole number from 2 to 8/],
  ["bits that are no number", { bits: "3" }, /^--bits: got "3"/],
  ["half a step", { steps: 0.5 }, /^--steps: got 0.5, expected a whole number >= 1/],
  ["no step", { steps: 0 }, /^--steps: got 0/],
  ["a learning rate of 0", { learningRate: 0 }, /^--learning-rate: got 0, expected a number > 0/],
  ["an infinite learning rate", { learningRate: Infinity }, /^--learning-rate: got null, expected a number/],
  [
    "all images held out",
    { holdoutFraction: 1 },
    /^--holdout-fraction: got 1, expected a number >= 0 and < 1/,
  ],
  [
    "nothing to select on",
    { holdoutFraction: 0 },
    /^--holdout-fraction: got 0, but the model is selected.*--select last/,
  ],
  [
    "a seed of 33 bits",
    { seed: 2 ** 32 },
    /^--seed: got 4294967296, expected a whole number from 0 to 4294967295/,
  ],
  ["an image of 3 pixels", { imageSize: 3 }, /^--image-size: got 3, expected a whole number from 4 to 2048/],
  [
    "bits of a float method",
    { method: "erm", bits: 3 },
    /^--bits: got 3, but erm quantizes nothing; leave it out/,
  ],
  [
    "float steps of a float method",
    { method: "sagm", floatSteps: 3 },
    /^--float-steps: got 3, but sagm quantizes nothing/,
  ],
  [
    "activation bits of qt-dog",
    { method: "qt-dog", activationBits: 4 },
    /^--activation-bits: got 4, but qt-dog quantizes weights alone/,
  ],
  [
    "float steps of qt-dog",
    { method: "qt-dog", floatSteps: 4 },
    /^--float-steps: got 4, but qt-dog has --qt-dog-start/,
  ],
  [
    "float steps to the end",
    { steps: 10, floatSteps: 10 },
    /^--float-steps: got 10, expected less than --steps 10/,
  ],
  [
    "a start of qt-dog at the end",
    { method: "qt-dog", steps: 10, qtDogStart: 10 },
    /^--qt-dog-start: got 10, expected less/,
  ],
  [
    "a penalty that begins at the end",
    { method: "gradient-l1", steps: 10, l1Start: 10 },
    /^--l1-start: got 10, expected less than --steps 10/,
  ],
  [
    "a penalty of another method",
    { method: "erm", l1Weight: 1 },
    /^--l1-weight: got 1, but erm has no use for it, only gradient-l1/,
  ],
  [
    "a penalty below 0",
    { method: "gradient-l1", l1Weight: -1 },
    /^--l1-weight: got -1, expected a number >= 0/,
  ],
  ["no epoch of saf", { method: "saf", safEpochs: 0 }, /^--saf-epochs: got 0, expected a whole number >= 1/],
  ["a temperature of 0", { method: "saf", safTemperature: 0 }, /^--saf-temperature: got 0, expected/],
  [
    "epochs of saf of another method",
    { method: "lsq", safEpochs: 2 },
    /^--saf-epochs: got 2, but lsq has no use for it, only saf/,
  ],
  [
    "bits of a method for several",
    { method: "eq-net", bits: 4 },
    /^--bits: got 4, but eq-net trains one network for all of --bit-set; leave it out/,
  ],
  [
    "bits of weights of such a method",
    { method: "eq-net", weightBits: 4 },
    /^--weight-bits: got 4, but eq-net/,
  ],
  [
    "one bit in a set",
    { method: "eq-net", bitSet: [4] },
    /^--bit-set: got \[4\], expected 2 or more different bits/,
  ],
  ["9 bits in a set", { method: "eq-net", bitSet: [4, 9] }, /^--bit-set: got \[4,9\], expected 2 or more/],
  [
    "evaluated bits that are not trained",
    { method: "eq-net", bitSet: [2, 4], evaluateBits: [2, 3] },
    /^--evaluate-bits: got 3, expected some of --bit-set 2,4/,
  ],
  [
    "an average of what has several sets of quantizers",
    { method: "eq-net", average: "ema" },
    /^--average: got ema, but eq-net has quantizers for each of several bits; leave it out/,
  ],
  [
    "held weights of what has several sets of quantizers",
    { method: "eq-net", oscillation: "freeze" },
    /^--oscillation: got freeze, but eq-net/,
  ],
  ["a set of bits of another method", { method: "lsq", bitSet: [2, 4] }, /^--bit-set: .* only eq-net; leave/],
  [
    "another guidance",
    { method: "eq-net", guidance: "all" },
    /^--guidance: got "all", expected next or most/,
  ],
  ["a warm-up to the end", { steps: 10, warmup: 10 }, /^--warmup: got 10, expected less than --steps 10/],
  [
    "a window longer than the run",
    { steps: 10, window: 11 },
    /^window: got 11, expected an integer from 2 to 10/,
  ],
  ["a threshold above 1", { threshold: 1.5 }, /^threshold: got 1.5/],
  [
    "a width of a trained model",
    { ...PRETRAINED, width: 0.5 },
    /^--width: got 0.5, but a\/model.json is a network with its own/,
  ],
  [
    "the head of a built-in model",
    { keepHead: true },
    /^--keep-head: got true, but a built-in network has no trained head/,
  ],
  [
    "a count of shapes of a folder",
    { data: "PACS", shapesCount: 3 },
    /^--shapes-count: got 3, but that is for --data shapes-dg and digits-drawn/,
  ],
  [
    "itself as the teacher with nothing quantized",
    { method: "erm", teacher: "self" },
    /--teacher: got self, but erm quantizes nothing/,
  ],
  [
    "itself as the teacher from random weights",
    { teacher: "self" },
    /--teacher: got self, but quantizers begin before.*give --float-steps/,
  ],
  [
    "itself as the teacher from random weights, of qt-dog",
    { method: "qt-dog", qtDogStart: 0, teacher: "self" },
    /--teacher: got self.*give --qt-dog-start/,
  ],
  [
    "no labels and no teacher",
    { unlabeled: true },
    /--unlabeled: got --teacher none, expected a model\.json/,
  ],
  [
    "no labels and itself as the teacher",
    { unlabeled: true, teacher: "self", model: "a/model.json" },
    /--unlabeled: got --teacher self, expected a model\.json/,
  ],
  [
    "no labels and nothing quantized",
    { unlabeled: true, teacher: "a/model.json", method: "erm" },
    /--unlabeled: erm quantizes nothing/,
  ],
  [
    "dampening of weights that are frozen",
    { oscillation: "freeze", dampening: 1 },
    /^--dampening: got 1, but that is for --oscillation dampen, got "freeze"; leave it out/,
  ],
  [
    "a threshold with nothing frozen",
    { oscillationThreshold: 0.02 },
    /^--oscillation-threshold: got 0.02, but that is for --oscillation freeze, got "none"/,
  ],
  [
    "oscillation of a float method",
    { method: "sam", oscillation: "dampen" },
    /^--oscillation: got "dampen", but sam quantizes nothing/,
  ],
  [
    "cycles of another method",
    { cycles: 3 },
    /^--cycles: got 3, but gaqat has no use for it, only sqwa; leave it out/,
  ],
  [
    "a cyclic rate of another method",
    { schedule: "cyclic" },
    /^--schedule: got cyclic, but that is for --method sqwa; leave it out/,
  ],
  [
    "sqwa without its cycles",
    { method: "sqwa", schedule: "cosine" },
    /^--schedule: got cosine, but sqwa averages the low points of cyclic/,
  ],
  [
    "more cycles than steps",
    { method: "sqwa", steps: 20, floatSteps: 10, cycles: 9 },
    /^--cycles: got 9, but there are 8 steps for them; give fewer/,
  ],
  [
    "a cooldown of a cosine",
    { cooldown: 0.3 },
    /^--cooldown: got 0.3, but that is for --schedule wsd, got "cosine"; leave it out/,
  ],
  [
    "no cooldown of wsd",
    { schedule: "wsd", cooldown: 0 },
    /^--cooldown: got 0, expected a number > 0 and <= 1/,
  ],
  [
    "a decay with nothing averaged",
    { averageDecay: 0.9 },
    /^--average-decay: got 0.9, but that is for --average ema, got "none"; leave it out/,
  ],
  [
    "a start of swad for an exponential average",
    { average: "ema", swadStart: 2 },
    /^--swad-start: got 2, but that is for --average swad, got "ema"/,
  ],
  ["a decay of 1", { average: "ema", averageDecay: 1 }, /^--average-decay: got 1, expected.*< 1/],
  ["a tolerance below 1", { average: "swad", swadTolerance: 0.9 }, /^--swad-tolerance: got 0.9, expected/],
  [
    "swad with no images held out",
    { average: "swad", holdoutFraction: 0 },
    /^--holdout-fraction: got 0, but --average swad goes by the loss/,
  ],
  [
    "a width of the teacher",
    { unlabeled: true, teacher: "a/model.json", width: 1 },
    /--width.*a\/model\.json/,
  ],
];

test.each(ROWS)("%s is wrong usage that names the option", (_, asked, says) => {
  const thrown = catching(() => completeOptions({ ...LEAST, ...asked }));
  expect(thrown).toMatchObject({ name: "QdgError", code: "usage" });
  expect(thrown.message).toMatch(says);
});

describe("a run that goes on", () => {
  const stored = JSON.parse(JSON.stringify(completeOptions({ ...LEAST, bits: 3, steps: 200 }))) as object;

  test("takes its own options where none are given", () => {
    expect(resumedOptions(stored, {}, "c")).toEqual(stored);
    expect(resumedOptions(stored, { bits: 3, testDomain: ["sketch"] }, "c")).toEqual(stored);
  });

  test("may change what changes nothing in the numbers", () => {
    expect(resumedOptions(stored, { threads: 0, checkpointEvery: 7 }, "c")).toEqual({
      ...stored,
      threads: 0,
      checkpointEvery: 7,
    });
  });

  test("names every option that differs", () => {
    const thrown = catching(() =>
      resumedOptions(stored, { bits: 4, learningRate: 1, testDomain: ["photo"] }, "c"),
    );
    expect(thrown).toMatchObject({ code: "usage" });
    expect(thrown.message).toContain("--bits 4 (was 3)");
    expect(thrown.message).toContain("--learning-rate 1 (was 0.003)");
    expect(thrown.message).toContain('--test-domain ["photo"] (was ["sketch"])');
  });

  test.each([
    ["no options", null],
    ["one missing", { ...stored, bits: undefined, rho: undefined }],
    ["one too many", { ...stored, another: 1 }],
    ["one out of range", { ...stored, bits: 99 }],
  ])("refuses a checkpoint with %s", (_, broken) => {
    const json = JSON.parse(JSON.stringify(broken)) as unknown;
    expect(catching(() => resumedOptions(json, {}, "c"))).toMatchObject({ code: "invalid-data", where: "c" });
  });
});

/** By bits the rule of inner layers. */
function bitsOf(options: AskedTrainOptions): unknown {
  return [...(recipesByBits(completeOptions(options)) ?? [])].map(([bits, { rules }]) => [
    bits,
    rules.find(({ match }) => "role" in match && match.role === "inner"),
  ]);
}

function catching(work: () => unknown): Error {
  try {
    work();
  } catch (thrown) {
    return thrown as Error;
  }
  return expect.unreachable();
}

function choices(name: TrainOptionName): readonly string[] {
  const { kind } = TRAIN_OPTIONS[name];
  return kind.type === "choice" ? kind.of : [];
}

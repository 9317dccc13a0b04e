import { beforeAll, describe, expect, test } from "vitest";
import type { StepReport } from "../../../src/train/methods/method.js";
import type { MethodOptions } from "../../../src/train/methods/method-options.js";
import { createMethod } from "../../../src/train/methods/create-method.js";
import { Adam } from "../../../src/train/optimizer/adam.js";
import type { Script, TrainableSketch } from "../support/objectives.js";
import { noise, Quadratic, Scripted } from "../support/objectives.js";
import { setTestBackend } from "../support/tfjs-backends.js";

beforeAll(() => setTestBackend("cpu"));

const SKETCHES: readonly TrainableSketch[] = [
  { name: "conv/kernel", start: [1, -1] },
  { name: "conv/scale", role: "scale", start: [1, 2] },
  { name: "relu/scale", role: "scale", start: [3] },
  { name: "relu/zero-point", role: "zero-point", start: [0.5] },
];

type OfScales = readonly [number, number, number];

/** Gradients of the three scales; weights and the zero point get the same at every step. */
function ofAll([a, b, c]: OfScales): number[][] {
  return [[0.1, 0.2], [a, b], [c], [0.3]];
}

function script(task: OfScales, smoothness: OfScales): Script {
  return { task: ofAll(task), smoothness: ofAll(smoothness) };
}

const WINDOW = 4;

/** Scale 0 never turns round, scale 1 always does, scale 2 never: windows freeze scales 0 and 2. */
function firstWindow(step: number): Script {
  const turned = step % 2 === 0 ? 1 : -1;
  return script([2, turned, 5], [0.5 * turned, 1, -1]);
}

interface Walk {
  readonly points: readonly number[][];
  readonly reports: readonly StepReport[];
}

function walk(
  scripts: readonly Script[],
  options: Partial<MethodOptions>,
  name: "gaqat" | "fqat" | "lsq-sagm" = "gaqat",
): Walk {
  const objective = new Scripted(SKETCHES);
  const method = createMethod(name, objective.trainables, { steps: 1000, window: WINDOW, ...options });
  const points: number[][] = [];
  const reports = scripts.map((one, step) => {
    const report = method.step(objective, one, step, 0.01);
    points.push(objective.point().flat());
    return report;
  });
  objective.dispose();
  return { points, reports };
}

const SCALE_0 = 2;
const SCALE_1 = 3;
const SCALE_2 = 4;

/** One number at every step. */
const course = ({ points }: Walk, index: number): number[] => points.map((point) => point[index] as number);

const opening = Array.from({ length: WINDOW }, (_, step) => firstWindow(step));

describe("gaqat without anything frozen", () => {
  test.each([
    ["threshold 0", { threshold: 0 }],
    ["threshold 0, and a norm that is clipped", { threshold: 0, clipNorm: 0.5 }],
    ["scales that are not perturbed, and decay", { threshold: 0, perturbScales: false, weightDecay: 0.1 }],
    ["another rate of scales", { threshold: 0, scaleRate: 0.3 }],
  ])("is sagm's step bit for bit, as is lsq-sagm: %s", (_, options) => {
    const next = noise(11);
    const batches = Array.from({ length: 60 }, () =>
      [3, 2, 1, 1].map((length) => Array.from({ length }, () => next())),
    );
    const points = (name: "gaqat" | "lsq-sagm" | "sagm"): number[][] => {
      const objective = new Quadratic([
        { name: "conv/kernel", start: [1, -1, 0.3], curvature: [1, 3, 0.2] },
        { name: "conv/scale", role: "scale", start: [0.7, 1.3], curvature: [2, 0.7] },
        { name: "relu/scale", role: "scale", start: [0.11], curvature: [5] },
        { name: "relu/zero-point", role: "zero-point", start: [0.5], curvature: [1] },
      ]);
      const method = createMethod(name, objective.trainables, { steps: 60, window: 10, ...options });
      const walked = batches.map((batch, step) => {
        method.step(objective, batch, step, 0.02);
        return objective.point().flat();
      });
      objective.dispose();
      return walked;
    };
    expect(points("gaqat")).toEqual(points("sagm"));
    expect(points("lsq-sagm")).toEqual(points("sagm"));
  });

  test("is so until the end of the first window, and no longer where something is frozen after it", () => {
    const scripts = [...opening, ...opening, ...opening];
    const gaqat = walk(scripts, {});
    const base = walk(scripts, {}, "lsq-sagm");
    expect(gaqat.points.slice(0, WINDOW)).toEqual(base.points.slice(0, WINDOW));
    expect(course(gaqat, SCALE_0)).not.toEqual(course(base, SCALE_0));
    // Not frozen: scale 1, the weights and the zero point.
    for (const index of [0, 1, SCALE_1, 5]) expect(course(gaqat, index)).toEqual(course(base, index));
  });
});

describe("the report of a window", () => {
  test("counts no step that is taken in full precision", () => {
    const plain = Array.from({ length: 6 }, () => script([0, 0, 0], [0, 0, 0]));
    const { reports } = walk([...plain, ...opening, ...opening], { plainSteps: 6 });
    expect(reports.flatMap(({ window }, step) => (window ? [step] : []))).toEqual([9, 13]);
    expect(reports[9]?.window?.disorder).toEqual({ "conv/scale": [0, 1], "relu/scale": [0] });
    expect(reports.slice(6, 11).map(({ frozen }) => frozen)).toEqual([0, 0, 0, 0, 2 / 3]);
  });

  test("has the disorder of every scale by name, and what is frozen next", () => {
    const { reports } = walk([...opening, ...opening], {});
    expect(reports.flatMap(({ window }, step) => (window ? [step] : []))).toEqual([3, 7]);
    expect(reports[3]?.window).toEqual({
      step: 3,
      steps: WINDOW,
      disorder: { "conv/scale": [0, 1], "relu/scale": [0] },
      frozen: { "conv/scale": [1, 0], "relu/scale": [1] },
      smoothnessDisorder: { "conv/scale": [1, 0], "relu/scale": [0] },
      opposed: { "conv/scale": [0.5, 0.5], "relu/scale": [1] },
      cosine: { "conv/scale": [0, 0], "relu/scale": [-1] },
      // Of conv: products (1, 1) and (-1, -1) in turn.
      layers: { conv: { opposed: 0.5, cosine: 0 }, relu: { opposed: 1, cosine: -1 } },
    });
    expect(reports.map(({ frozen }) => frozen)).toEqual([0, 0, 0, 0, 2 / 3, 2 / 3, 2 / 3, 2 / 3]);
  });

  test("knows nothing of a scale without a gradient", () => {
    const still = Array.from({ length: WINDOW }, () => script([0, 1, 1], [0, 0, -1]));
    const { reports } = walk(still, {});
    expect(reports[3]?.window).toMatchObject({
      disorder: { "conv/scale": [null, 0], "relu/scale": [0] },
      smoothnessDisorder: { "conv/scale": [null, null], "relu/scale": [0] },
      cosine: { "conv/scale": [null, null], "relu/scale": [-1] },
      frozen: { "conv/scale": [0, 1], "relu/scale": [1] },
    });
  });

  test("freezes by the smoothness gradient when that is measured", () => {
    const { reports } = walk(opening, { measure: "smoothness" });
    expect(reports[3]?.window?.smoothnessDisorder).toEqual({ "conv/scale": [1, 0], "relu/scale": [0] });
    expect(reports[3]?.window?.frozen).toEqual({ "conv/scale": [0, 1], "relu/scale": [1] });
  });

  test("freezes by the share of steps at which the two oppose each other", () => {
    const { reports } = walk(opening, { measure: "opposition", frozenSide: "above", threshold: 0.6 });
    expect(reports[3]?.window?.opposed).toEqual({ "conv/scale": [0.5, 0.5], "relu/scale": [1] });
    expect(reports[3]?.window?.frozen).toEqual({ "conv/scale": [0, 0], "relu/scale": [1] });
  });

  test("freezes by the angle between the two", () => {
    // Scale 2 has 5 and -1 at every step: a cosine of -1, measured as 1.
    const { reports } = walk(opening, { measure: "cosine", frozenSide: "above", threshold: 0.9 });
    expect(reports[3]?.window?.cosine).toEqual({ "conv/scale": [0, 0], "relu/scale": [-1] });
    expect(reports[3]?.window?.frozen).toEqual({ "conv/scale": [0, 0], "relu/scale": [1] });
  });

  test("freezes a layer's scales together, by their mean", () => {
    const below = [0.4, 0.6].map(
      (threshold) => walk(opening, { granularity: "layer", threshold }).reports[3],
    );
    expect(below[0]?.window?.frozen).toEqual({ "conv/scale": [0, 0], "relu/scale": [1] });
    expect(below[1]?.window?.frozen).toEqual({ "conv/scale": [1, 1], "relu/scale": [1] });
  });
});

/** Steps with these task gradients of scale 0, and no smoothness gradient. */
function silent(tasks: readonly number[]): Script[] {
  return tasks.map((g) => script([g, 1, 1], [0, 0, 0]));
}

/** The first window, and one more that freezes scales 0 and 2 again, with task gradients of that size. */
function shortened(size: number): Script[] {
  return [
    ...opening,
    ...Array.from({ length: WINDOW }, (_, i) => script([size, i % 2 === 0 ? 1 : -1, size], [1, 1, 1])),
  ];
}

describe("a frozen task gradient", () => {
  const still = Array.from({ length: WINDOW }, () => script([2, 1, 1], [0, 0, 0]));

  test("moves its scale by nothing, momentum included, for as long as it is frozen", () => {
    const frozenFor = 12;
    const { points } = walk(
      [...still, ...Array.from({ length: frozenFor * WINDOW }, () => still[0] as Script)],
      {},
    );
    const at = course({ points, reports: [] }, SCALE_0);
    const held = at[WINDOW - 1] as number;
    // The momentum of four equal gradients would have carried it on.
    expect(held).toBeLessThan(1 - 0.03);
    expect(at.slice(WINDOW)).toEqual(Array.from({ length: frozenFor * WINDOW }, () => held));
  });

  test("leaves the scale the same course whatever it is", () => {
    const next = noise(5);
    const smooth = Array.from(
      { length: 2 * WINDOW },
      (_, i) => [next(), i % 2 === 0 ? 1 : -1, next()] as const,
    );
    const scripts = (size: number): Script[] => [
      ...opening,
      // The second window, frozen, measures disorder 0 again: the third is frozen, too.
      ...smooth.map((g, i) => script([size * (1 + Math.abs(g[0])), i % 2 === 0 ? 1 : -1, 1], g)),
    ];
    const small = walk(scripts(1e-6), {});
    const large = walk(scripts(1e6), {});
    expect(small.reports.at(-1)?.frozen).toBe(2 / 3);
    expect(course(small, SCALE_0)).toEqual(course(large, SCALE_0));
    expect(new Set(course(small, SCALE_0)).size).toBe(3 * WINDOW);
  });

  test("does not shorten the rest when the norm is clipped", () => {
    const loud = walk(shortened(1e6), { clipNorm: 0.7 });
    expect(loud.points).toEqual(walk(shortened(1), { clipNorm: 0.7 }).points);
  });

  test("leaves the scale to Adam on half the smoothness gradient, which has seen it from the start", () => {
    const next = noise(9);
    const smooth = Array.from({ length: 2 * WINDOW }, next);
    const { points } = walk(
      smooth.map((g) => script([1, 1, 1], [g, 0, 0])),
      { epsilon: 0.1 },
    );
    // Such an epsilon tells half a gradient from a whole one, which Adam else divides away.
    const adam = new Adam(1, { beta1: 0.9, beta2: 0.999, epsilon: 0.1 });
    const theta = new Float32Array(1);
    smooth.forEach((g, step) => {
      adam.record(Float32Array.of(g), 0.5);
      if (step < WINDOW) return;
      theta[0] = points[step - 1]?.[SCALE_0] as number;
      adam.move(theta, 0.01);
      expect(points[step]?.[SCALE_0]).toBe(theta[0]);
    });
  });

  test("moves its scale again when it is released, by lsq-sagm's moments", () => {
    const turning = silent([1, -1, 1, -1]);
    const after = silent([3, 3, 3, 3]);
    const { points, reports } = walk([...still, ...turning, ...after], {});
    const at = course({ points, reports }, SCALE_0);
    expect(reports[WINDOW - 1]?.window?.frozen["conv/scale"]?.[0]).toBe(1);
    expect(reports[2 * WINDOW - 1]?.window?.frozen["conv/scale"]?.[0]).toBe(0);
    expect(at[2 * WINDOW - 1]).toBe(at[WINDOW - 1]);
    // Adam over all twelve gradients, moving only in windows one and three.
    const adam = new Adam(1, { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
    const theta = Float32Array.of(1);
    [2, 2, 2, 2, 1, -1, 1, -1, 3, 3, 3, 3].forEach((g, step) => {
      adam.record(Float32Array.of(g / 2), 1);
      if (step < WINDOW || step >= 2 * WINDOW) adam.move(theta, 0.01);
      expect(at[step]).toBe(theta[0]);
    });
    expect(at.at(-1)).toBeLessThan((at[2 * WINDOW - 1] as number) - 0.02);
  });
});

describe("what is frozen", () => {
  const later = Array.from({ length: WINDOW }, (_, i) =>
    script([1 + i, i % 2 === 0 ? 1 : -1, 2], [-1 - i, 1, -3]),
  );
  const scripts = [...opening, ...later];
  const moves = (frozenPart: "task" | "smoothness" | "both"): number =>
    (walk(scripts, { frozenPart }).points.at(-1)?.[SCALE_2] as number) -
    (walk(opening, {}).points.at(-1)?.[SCALE_2] as number);

  test("is the task part: the scale follows the smoothness gradient", () => {
    expect(moves("task")).toBeGreaterThan(0.01);
  });

  test("is the smoothness part: the scale follows the task gradient", () => {
    expect(moves("smoothness")).toBeLessThan(-0.01);
  });

  test("is both: the scale stands still", () => {
    expect(moves("both")).toBe(0);
  });

  test("is the smoothness part whatever that is", () => {
    const louder = [
      ...opening,
      ...later.map(
        ({ task }) => ({ task, smoothness: script([9, 1, 9], [9e5, 1, 9e5]).smoothness }) as Script,
      ),
    ];
    const options = { frozenPart: "smoothness", clipNorm: 1 } as const;
    expect(course(walk(louder, options), SCALE_0)).toEqual(course(walk(scripts, options), SCALE_0));
  });
});

describe("relatives of gaqat", () => {
  const scripts = [...opening, ...opening, ...opening, ...opening];

  test("lsq-sagm reports the same measurements and freezes nothing", () => {
    const { reports } = walk(scripts, {}, "lsq-sagm");
    expect(reports[3]?.window?.disorder).toEqual({ "conv/scale": [0, 1], "relu/scale": [0] });
    expect(reports.flatMap(({ window }) => Object.values(window?.frozen ?? {}).flat())).not.toContain(1);
    expect(reports.every(({ frozen }) => frozen === undefined)).toBe(true);
  });

  test("alternate takes the task gradient alone in one window, the smoothness gradient alone in the next", () => {
    const noisy = scripts.map(() => script([2, 1, 5], [7, -3, -4]));
    const { points, reports } = walk(noisy, { frozenPart: "alternate" });
    const task = walk(
      noisy.map(() => script([2, 1, 5], [0, 0, 0])),
      { frozenPart: "none" },
    );
    expect(reports.every(({ frozen }) => frozen === 1)).toBe(true);
    expect(course({ points, reports }, SCALE_0).slice(0, WINDOW)).toEqual(
      course(task, SCALE_0).slice(0, WINDOW),
    );
    // Scale 1 goes down by its task gradient, then up by the other.
    const at = course({ points, reports }, SCALE_1);
    expect(at[WINDOW - 1]).toBeLessThan(2);
    expect(at[2 * WINDOW - 1]).toBeGreaterThan(at[WINDOW - 1] as number);
    expect(at[3 * WINDOW - 1]).toBeLessThan(at[2 * WINDOW - 1] as number);
  });

  test("fqat freezes the layers of most disorder, and says so at every step after a window", () => {
    // conv's scales turn at every step, relu's never.
    const turning = Array.from({ length: 3 * WINDOW }, (_, step) =>
      script([step % 2 === 0 ? 1 : -1, step % 2 === 0 ? 1 : -1, 1], [0.1, 0.1, 0.1]),
    );
    const { reports } = walk(turning, { threshold: 0.5 }, "fqat");
    expect(reports.map(({ frozen }) => frozen)).toEqual(
      turning.map((_, step) => (step < WINDOW ? 0 : 2 / 3)),
    );
    expect(reports.at(-1)?.window?.frozen).toEqual({ "conv/scale": [1, 1], "relu/scale": [0] });
  });

  test("project takes nothing from layers whose gradients agree, and what opposes from the others", () => {
    // conv: (3, 4) and (-1, 0); relu: 5 and -1, which leave nothing of each other.
    const steps = Array.from({ length: WINDOW }, () => script([3, 4, 5], [-1, 0, -1]));
    const { points } = walk(steps, { frozenPart: "none", opposing: "project" });
    expect(course({ points, reports: [] }, SCALE_2)).toEqual([3, 3, 3, 3]);
    // g_task becomes (0, 4), g_smoothness (-1, 0) + 3/25 (3, 4) = (-0.64, 0.48): their mean moves scale 0 up, scale 1 down.
    expect(points[0]?.[SCALE_0]).toBeGreaterThan(1);
    expect(points[0]?.[SCALE_1]).toBeLessThan(2);
  });

  test.each(["gaqat", "fqat", "lsq-sagm"] as const)("%s goes on bit for bit from its state", (name) => {
    const next = noise(3);
    const random = Array.from({ length: 4 * WINDOW }, () =>
      script([next(), next(), next()], [next(), next(), next()]),
    );
    const whole = walk(random, { threshold: 0.5 }, name);
    const cut = WINDOW + 2;
    const first = new Scripted(SKETCHES);
    const options = { steps: 1000, window: WINDOW, threshold: 0.5 };
    const before = createMethod(name, first.trainables, options);
    random.slice(0, cut).forEach((one, step) => before.step(first, one, step, 0.01));
    const after = createMethod(name, first.trainables, options);
    after.restore(before.state());
    random.slice(cut).forEach((one, i) => after.step(first, one, cut + i, 0.01));
    expect(first.point().flat()).toEqual(whole.points.at(-1));
    first.dispose();
  });
});

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { createMethod } from "../../../src/train/methods/create-method.js";
import { methodSettings } from "../../../src/train/methods/method-options.js";
import type { MethodName } from "../../../src/train/methods/methods.js";
import { isQuantized, METHOD_NAMES, METHODS } from "../../../src/train/methods/methods.js";
import { GradientPasses } from "../../../src/train/methods/perturb.js";
import type { Script } from "../support/objectives.js";
import { noise, Quadratic, Scripted } from "../support/objectives.js";
import { setTestBackend, testBackends } from "../support/tfjs-backends.js";

/** Adam without memory, and so large an epsilon that a step is `rate * g` to a millionth of |g|. */
const PLAIN = { steps: 100, beta1: 0, beta2: 0, epsilon: 1e6 };
const plainRate = (rate: number): number => rate * 1e6;

/** A weight, a scale of two, a zero point: every role, in an order that is not the vector's. */
function everyRole(): Quadratic {
  return new Quadratic([
    { name: "relu/scale", role: "scale", start: [0.5, 0.25], curvature: [2, 1] },
    { name: "conv/kernel", start: [1, -1, 0.5, 2], shape: [2, 2], curvature: [1, 2, 0.5, 1] },
    { name: "relu/zero-point", role: "zero-point", start: [1], shape: [], curvature: [0.1] },
    { name: "conv/bias", start: [0.1], curvature: [3] },
  ]);
}

/** Those whose first step has two passes, whatever the options. */
const TWO_PASSES: readonly MethodName[] = ["sam", "sagm", "lsq-sagm", "gaqat", "fqat"];

/** Centres that jump about, so that gradients change their signs. */
function centres(steps: number): number[][][] {
  const next = noise(3);
  return Array.from({ length: steps }, () =>
    [2, 4, 1, 1].map((length) => Array.from({ length }, () => next() + 0.2)),
  );
}

/** Eight steps on a network in full precision, whose scale has no gradient: the points, and how many gradients they took. */
function walked(method: MethodName, plainSteps: number): [number[][][], number] {
  const objective = new Quadratic([
    { name: "w", start: [3, -2], curvature: [1, 2] },
    { name: "q/scale", role: "scale", start: [2], curvature: [0] },
  ]);
  const taken = createMethod(method, objective.trainables, { steps: 20, window: 3, clipNorm: 2, plainSteps });
  const points = Array.from({ length: 8 }, (_, step) => {
    taken.step(objective, [[0, 1], [0]], step, 0.1);
    return objective.point();
  });
  const { length } = objective.calls;
  objective.dispose();
  return [points, length];
}

function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (thrown) {
    return thrown;
  }
  return null;
}

for (const backend of testBackends) {
  describe(`on ${backend.name}`, backend.options, () => {
    beforeAll(() => setTestBackend(backend.name));

    test("a SAM step on a quadratic is the one computed by hand", () => {
      const objective = new Quadratic([{ name: "w", start: [3, 2], curvature: [1, 2] }]);
      const sam = createMethod("sam", objective.trainables, { ...PLAIN, rho: 0.5 });
      // g = (3, 4), theta' = theta + 0.5 * (0.6, 0.8) = (3.3, 2.4), g' = (3.3, 4.8).
      const report = sam.step(objective, [[0, 0]], 0, plainRate(0.1));
      expect(objective.calls.map(({ updateStatistics }) => updateStatistics)).toEqual([true, false]);
      expect(objective.calls[1]?.point[0]?.[0]).toBeCloseTo(3.3, 6);
      expect(objective.calls[1]?.point[0]?.[1]).toBeCloseTo(2.4, 6);
      expect(report.loss).toBeCloseTo(8.5, 5);
      expect(report.smoothLoss).toBeCloseTo(11.205, 5);
      expect(objective.point()[0]?.[0]).toBeCloseTo(3 - 0.33, 5);
      expect(objective.point()[0]?.[1]).toBeCloseTo(2 - 0.48, 5);
      objective.dispose();
    });

    test.each(["lsq-sagm", "gaqat"] as const)(
      "%s takes its plain steps as lsq does, with one gradient each, and its own after them",
      (name) => {
        const [points, passes] = walked(name, 5);
        const [plain] = walked("lsq", 0);
        expect(passes).toBe(5 + 2 * 3);
        expect(points.slice(0, 5)).toEqual(plain.slice(0, 5));
        expect(points[5]).not.toEqual(plain[5]);
      },
    );

    test.each(["sagm", "lsq-sagm", "gaqat"] as const)(
      "a step of %s on a quadratic is the one computed by hand",
      (name) => {
        const objective = new Quadratic([
          { name: "w", start: [3], curvature: [1] },
          { name: "q/scale", role: "scale", start: [2], curvature: [2] },
        ]);
        const method = createMethod(name, objective.trainables, { ...PLAIN, rho: 0.5, alpha: 0.02 });
        // g = (3, 4), c = 0.5 / 5 - 0.02, theta' = (3.24, 2.32), g' = (3.24, 4.64), mean (3.12, 4.32).
        const report = method.step(objective, [[0], [0]], 0, plainRate(0.1));
        expect(objective.calls[1]?.point[0]?.[0]).toBeCloseTo(3.24, 6);
        expect(objective.calls[1]?.point[1]?.[0]).toBeCloseTo(2.32, 6);
        expect(objective.calls[1]?.updateStatistics).toBe(false);
        expect(report.smoothLoss).toBeCloseTo((3.24 ** 2 + 2 * 2.32 ** 2) / 2, 5);
        expect(objective.point()[0]?.[0]).toBeCloseTo(3 - 0.312, 5);
        expect(objective.point()[1]?.[0]).toBeCloseTo(2 - 0.432, 5);
        expect(objective.constrained).toBe(2);
        objective.dispose();
      },
    );

    test.each(["erm", "lsq", "saf", "qt-dog"] as const)("a step of %s is down the plain gradient", (name) => {
      const objective = new Quadratic([{ name: "w", start: [3, 2], curvature: [1, 2] }]);
      const method = createMethod(name, objective.trainables, PLAIN);
      expect(method.step(objective, [[1, 1]], 0, plainRate(0.1))).toEqual({ loss: 3 });
      expect(objective.point()[0]?.[0]).toBeCloseTo(2.8, 5);
      expect(objective.point()[0]?.[1]).toBeCloseTo(1.8, 5);
      expect(objective.calls).toHaveLength(1);
      objective.dispose();
    });

    test.each(METHOD_NAMES)("%s holds as many tensors after 200 steps as before", (name) => {
      const objective = everyRole();
      const method = createMethod(name, objective.trainables, { steps: 200, window: 10, clipNorm: 1 });
      const batches = centres(210);
      for (let step = 0; step < 2; step++) method.step(objective, batches[step] ?? [], step, 0.01);
      const before = tf.memory();
      for (let step = 2; step < 202; step++) method.step(objective, batches[step] ?? [], step, 0.01);
      method.restore(method.state());
      const after = tf.memory();
      expect([after.numTensors, after.numDataBuffers, after.numBytes]).toEqual([
        before.numTensors,
        before.numDataBuffers,
        before.numBytes,
      ]);
      method.dispose();
      objective.dispose();
      expect(tf.memory().numTensors).toBe(before.numTensors - 4);
    });

    test.each(METHOD_NAMES)("%s leaves a copy of a variable that someone keeps as it is", (name) => {
      const objective = everyRole();
      const method = createMethod(name, objective.trainables, { steps: 10 });
      const [first, second] = centres(2) as [number[][], number[][]];
      method.step(objective, first, 0, 0.1);
      const point = objective.point();
      const kept = objective.trainables.map(({ variable }) => variable.clone());
      method.step(objective, second, 1, 0.1);
      expect(kept.map((copy) => [...copy.dataSync()])).toEqual(point);
      expect(objective.point()).not.toEqual(point);
      tf.dispose(kept);
      objective.dispose();
    });

    test.each(METHOD_NAMES)("%s goes on from its state bit for bit", (name) => {
      const options = {
        steps: 60,
        window: 8,
        threshold: 0.5,
        clipNorm: 2,
        weightDecay: 0.01,
        scaleRate: 0.5,
      };
      const batches = centres(60);
      const straight = everyRole();
      const method = createMethod(name, straight.trainables, options);
      const reports = batches.map((batch, step) => method.step(straight, batch, step, 0.01));

      const resumed = everyRole();
      const first = createMethod(name, resumed.trainables, options);
      const again = batches.slice(0, 29).map((batch, step) => first.step(resumed, batch, step, 0.01));
      // As through a file: nothing is shared with the method that wrote it.
      const { arrays, values } = first.state();
      const copied = Object.fromEntries(Object.entries(arrays).map(([key, array]) => [key, array.slice()]));
      const second = createMethod(name, resumed.trainables, options);
      second.restore({
        arrays: copied,
        values: JSON.parse(JSON.stringify(values)) as Record<string, unknown>,
      });
      again.push(...batches.slice(29).map((batch, i) => second.step(resumed, batch, 29 + i, 0.01)));

      expect(again).toEqual(reports);
      expect(resumed.point()).toEqual(straight.point());
      expect(second.state()).toEqual(method.state());
      straight.dispose();
      resumed.dispose();
    });

    test.each(METHOD_NAMES)("%s moves nothing when a gradient is not finite, and names it", (name) => {
      const sketches = [
        { name: "a/kernel", start: [1 / 3, 0.1] },
        { name: "q/scale", role: "scale", start: [0.7] },
        { name: "b/kernel", start: [0.3] },
      ] as const;
      const good: Script = { task: [[1, 2], [3], [4]] };
      const broken = [[1, 2], [Number.NaN], [Number.POSITIVE_INFINITY]];
      const twoPasses = TWO_PASSES.includes(name);
      const bad: [string, Script][] = [
        ["q/scale", { task: broken }],
        ["b/kernel", { task: [[1, 2], [3], [Number.NEGATIVE_INFINITY]] }],
        ["loss", { ...good, loss: Number.NaN }],
        ...(twoPasses
          ? ([
              ["q/scale", { ...good, smoothness: broken }],
              ["loss", { ...good, smoothLoss: Number.POSITIVE_INFINITY }],
            ] satisfies [string, Script][])
          : []),
      ];
      const objective = new Scripted(sketches);
      const method = createMethod(name, objective.trainables, { steps: 100 });
      method.step(objective, good, 0, 0.01);
      for (const [where, script] of bad) {
        const point = objective.point();
        const state = method.state();
        const tensors = tf.memory().numTensors;
        expect(caught(() => method.step(objective, script, 1, 0.01))).toMatchObject({
          code: "runtime",
          where,
        });
        expect(objective.point()).toEqual(point);
        expect(method.state()).toEqual(state);
        expect(tf.memory().numTensors).toBe(tensors);
      }
      objective.dispose();
    });
  });
}

describe("a step", () => {
  beforeAll(() => setTestBackend("cpu"));

  test.each(METHOD_NAMES)("%s finds the minimum of a quadratic", (name) => {
    const objective = everyRole();
    const method = createMethod(name, objective.trainables, { steps: 200, window: 10 });
    const centre = [[1, 2], [0, 0, 0, 0], [0.5], [-1]];
    for (let step = 0; step < 200; step++) method.step(objective, centre, step, 0.1);
    const point = objective.point().flat();
    centre.flat().forEach((c, i) => expect(Math.abs((point[i] as number) - c)).toBeLessThan(0.05));
    objective.dispose();
  });

  test("gives the variables back bit for bit when the second pass fails", () => {
    class Failing extends Quadratic {
      override evaluate(...given: Parameters<Quadratic["evaluate"]>): ReturnType<Quadratic["evaluate"]> {
        if (!given[1].updateStatistics) throw new Error("out of memory");
        return super.evaluate(...given);
      }
    }
    // Subtracting what was added would not give 0.1 back: it is far below what is added to it.
    const objective = new Failing([{ name: "w", start: [0.1, 1e-30], curvature: [1e8, 1e8] }]);
    const before = objective.point();
    const sam = createMethod("sam", objective.trainables, { steps: 10, rho: 1e6 });
    const tensors = tf.memory().numTensors;
    expect(() => sam.step(objective, [[0, 1]], 0, 0.1)).toThrow("out of memory");
    expect(objective.point()).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
    objective.dispose();
  });

  test("perturbs weights alone, by their own norm, when scales are not to be perturbed", () => {
    const objective = new Quadratic([
      { name: "w", start: [3, 4], curvature: [1, 1] },
      { name: "q/scale", role: "scale", start: [12], curvature: [1] },
      { name: "q/zero-point", role: "zero-point", start: [7], curvature: [1] },
    ]);
    const method = createMethod("lsq-sagm", objective.trainables, {
      ...PLAIN,
      rho: 0.5,
      alpha: 0,
      perturbScales: false,
    });
    method.step(objective, [[0, 0], [0], [0]], 0, plainRate(0.1));
    const [w = [], scale, zeroPoint] = objective.calls[1]?.point ?? [];
    expect(w[0]).toBeCloseTo(3.3, 6);
    expect(w[1]).toBeCloseTo(4.4, 6);
    expect([scale, zeroPoint]).toEqual([[12], [7]]);
    // They are stepped all the same.
    expect(objective.point()[1]?.[0]).toBeCloseTo(10.8, 4);
    objective.dispose();
  });

  test("is constrained at the perturbed point, before that is evaluated", () => {
    class Floored extends Quadratic {
      override constrain(): void {
        super.constrain();
        const scale = this.trainables[0]?.variable as tf.Variable;
        tf.tidy(() => scale.assign(tf.maximum(scale, 0.1)));
      }
    }
    const objective = new Floored([{ name: "q/scale", role: "scale", start: [0.2], curvature: [1] }]);
    const method = createMethod("lsq-sagm", objective.trainables, { ...PLAIN, rho: 1 });
    method.step(objective, [[1]], 0, plainRate(0.001));
    expect(objective.calls[1]?.point[0]?.[0]).toBeCloseTo(0.1, 6);
    objective.dispose();
  });

  test("multiplies the rate of scales and zero points, not that of weights", () => {
    const objective = new Scripted([
      { name: "w", start: [1] },
      { name: "q/scale", role: "scale", start: [1] },
      { name: "q/zero-point", role: "zero-point", start: [1] },
    ]);
    const method = createMethod("lsq", objective.trainables, { ...PLAIN, scaleRate: 0.25 });
    method.step(objective, { task: [[1], [1], [1]] }, 0, plainRate(0.1));
    const [w, scale, zeroPoint] = objective.point().flat() as [number, number, number];
    expect(w).toBeCloseTo(0.9, 5);
    expect(scale).toBeCloseTo(0.975, 5);
    expect(zeroPoint).toBeCloseTo(0.975, 5);
    objective.dispose();
  });

  test("decays weights through their gradient, and nothing else", () => {
    const objective = new Scripted([
      { name: "w", start: [2] },
      { name: "q/scale", role: "scale", start: [2] },
    ]);
    const method = createMethod("lsq", objective.trainables, { ...PLAIN, weightDecay: 0.5 });
    method.step(objective, { task: [[1], [1]] }, 0, plainRate(0.1));
    const [w, scale] = objective.point().flat() as [number, number];
    // 2 - 0.1 * (1 + 0.5 * 2), and 2 - 0.1 * 1.
    expect(w).toBeCloseTo(1.8, 5);
    expect(scale).toBeCloseTo(1.9, 5);
    objective.dispose();
  });

  test("clips the gradient before it decays weights through it", () => {
    const objective = new Scripted([{ name: "w", start: [2] }]);
    const method = createMethod("erm", objective.trainables, { ...PLAIN, weightDecay: 0.5, clipNorm: 3 });
    method.step(objective, { task: [[6]] }, 0, plainRate(0.1));
    // 2 - 0.1 * (3 + 0.5 * 2)
    expect(objective.point()[0]?.[0]).toBeCloseTo(1.6, 5);
    objective.dispose();
  });

  test.each([
    ["shortens a gradient that is longer than clipNorm", 2.5, 0.5],
    ["leaves a shorter one alone", 10, 1],
  ])("%s", (_, clipNorm, factor) => {
    const objective = new Scripted([
      { name: "w", start: [0] },
      { name: "q/scale", role: "scale", start: [0] },
    ]);
    const method = createMethod("lsq", objective.trainables, { ...PLAIN, clipNorm });
    method.step(objective, { task: [[3], [4]] }, 0, plainRate(0.1));
    const [w, scale] = objective.point().flat() as [number, number];
    expect(w).toBeCloseTo(-0.3 * factor, 5);
    expect(scale).toBeCloseTo(-0.4 * factor, 5);
    objective.dispose();
  });

  test("begins the moments of scales with their first gradient, however late", () => {
    const sketches = [
      { name: "w", start: [1] },
      { name: "q/scale", role: "scale", start: [1] },
    ] as const;
    const late = new Scripted(sketches);
    const method = createMethod("qt-dog", late.trainables, { steps: 100 });
    for (let step = 0; step < 50; step++) method.step(late, { task: [[1], [0]] }, step, 0.01);
    expect(late.point()[1]).toEqual([1]);
    method.step(late, { task: [[1], [5]] }, 50, 0.01);
    // A first step of Adam is one learning rate long; with corrections that have run out it would be three.
    expect(late.point()[1]?.[0]).toBeCloseTo(0.99, 6);
    late.dispose();
  });
});

describe("createMethod", () => {
  beforeAll(() => setTestBackend("cpu"));

  test.each(METHOD_NAMES)("gives a %s that refuses the state of another method or network", (name) => {
    const objective = everyRole();
    const other = new Quadratic([{ name: "q/scale", role: "scale", start: [1], curvature: [1] }]);
    const create = (made: MethodName, of = objective) => createMethod(made, of.trainables, { steps: 100 });
    const method = create(name);
    const refusal = expect.objectContaining({ code: "invalid-data" }) as unknown;
    for (const foreign of METHOD_NAMES.filter((made) => made !== name)) {
      expect(caught(() => method.restore(create(foreign).state()))).toEqual(refusal);
    }
    expect(caught(() => method.restore(create(name, other).state()))).toEqual(refusal);
    expect(caught(() => method.restore({ arrays: {}, values: {} }))).toEqual(refusal);
    objective.dispose();
    other.dispose();
  });

  test("refuses an option out of its range, whatever the method", () => {
    for (const name of METHOD_NAMES) {
      expect(caught(() => createMethod(name, [], { steps: 10, rho: -1 }))).toMatchObject({ code: "usage" });
    }
  });

  test("refuses gaqat for a network without scales", () => {
    const objective = new Scripted([{ name: "w", start: [1] }]);
    expect(caught(() => createMethod("gaqat", objective.trainables, { steps: 10 }))).toMatchObject({
      code: "usage",
      where: "gaqat",
    });
    objective.dispose();
  });

  test("refuses two trainables of one name, and gradients that do not fit", () => {
    const twice = new Scripted([
      { name: "w", start: [1] },
      { name: "w", start: [1] },
    ]);
    expect(caught(() => createMethod("erm", twice.trainables, { steps: 10 }))).toMatchObject({
      code: "internal",
    });
    twice.dispose();
    const objective = new Scripted([{ name: "w", start: [1] }]);
    const method = createMethod("erm", objective.trainables, { steps: 10 });
    objective.evaluate = () => ({ loss: 1, gradients: [tf.tensor1d([1, 2])] });
    expect(caught(() => method.step(objective, { task: [] }, 0, 0.1))).toMatchObject({
      code: "internal",
      where: "w",
    });
    objective.dispose();
  });
});

test.each(METHOD_NAMES.filter((name) => METHODS[name].rule !== null))(
  "the gradient of %s reads the settings that its row names, and no other",
  (name) => {
    const { rule, settings } = METHODS[name];
    const objective = everyRole();
    const passes = new GradientPasses(objective.trainables, rule?.passes ?? 1);
    const read = new Set<string>();
    const watched = new Proxy(methodSettings({ steps: 100 }), {
      get(target, key) {
        read.add(String(key));
        return Reflect.get(target, key) as unknown;
      },
    });
    // The last step, since some have a part that begins later.
    rule?.gradient(passes, objective, centres(1)[0] as number[][], 99, watched);
    // quantizeFrom is read by isQuantized, what is saf's by the network's memory, and cycles are around the steps
    // (cycles.ts): not by a step.
    const elsewhere = ["quantizeFrom", "safWeight", "safEpochs", "safTemperature", "cycles", "fineTuning"];
    expect([...read].sort()).toEqual(settings.filter((each) => !elsewhere.includes(each)).sort());
    expect(settings.includes("quantizeFrom")).toBe(METHODS[name].quantizedFrom === "quantizeFrom");
    objective.dispose();
  },
);

test("quantization is never on in full precision, from its step on in qt-dog, and always in the others", () => {
  const table = METHOD_NAMES.map((name) =>
    [0, 9, 10, 99].map((step) => isQuantized(name, step, { steps: 100, quantizeFrom: 10 })),
  );
  const never = ["erm", "sam", "sagm", "gradient-l1"];
  const late = ["qt-dog"];
  expect(table).toEqual(
    METHOD_NAMES.map((name) =>
      never.includes(name)
        ? [false, false, false, false]
        : late.includes(name)
          ? [false, false, true, true]
          : [true, true, true, true],
    ),
  );
});

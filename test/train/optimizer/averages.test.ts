import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { createMethod } from "../../../src/train/methods/create-method.js";
import { StateReader, StateWriter } from "../../../src/train/methods/method-state.js";
import { Ema } from "../../../src/train/optimizer/ema.js";
import { RunningMean } from "../../../src/train/optimizer/running-mean.js";
import { Swad, type SwadSettings } from "../../../src/train/optimizer/swad.js";
import { TrainableVector } from "../../../src/train/optimizer/trainable-vector.js";
import type { VectorAverage } from "../../../src/train/optimizer/vector-average.js";
import { noise, Quadratic } from "../support/objectives.js";
import { setTestBackend } from "../support/tfjs-backends.js";

const PAPER: SwadSettings = { start: 3, end: 6, tolerance: 1.3 };

/** Through a state, as through a file. */
function copied<T extends VectorAverage>(from: T, to: T): T {
  const writer = new StateWriter();
  from.save(writer);
  const { arrays, values } = writer.state();
  const json = JSON.parse(JSON.stringify(values)) as Record<string, unknown>;
  to.load(new StateReader({ arrays, values: json }));
  return to;
}

describe("a mean", () => {
  test("of vectors one by one is their mean, and of two means that of all of them", () => {
    const first = RunningMean.empty(2);
    for (const x of [
      [1, 10],
      [2, 20],
      [6, 0],
    ])
      first.add(Float32Array.from(x));
    expect([...first.values]).toEqual([3, 10]);
    const second = new RunningMean(Float32Array.of(7, 2));
    second.add(Float32Array.of(7, 2));
    const both = first.and(second);
    expect(both.count).toBe(4);
    expect([...both.values]).toEqual([4, 8]);
    expect(first.and(RunningMean.empty(2))).toBe(first);
    expect(RunningMean.empty(2).and(second)).toBe(second);
  });
});

describe("an exponential average", () => {
  test("begins as the first vector, and follows at the rate 1 - d", () => {
    const ema = new Ema(2, 0.75);
    expect(ema.current()).toBeNull();
    ema.add(Float32Array.of(4, -8));
    expect([...(ema.current() ?? [])]).toEqual([4, -8]);
    ema.add(Float32Array.of(8, 0));
    expect([...(ema.current() ?? [])]).toEqual([5, -6]);
    expect(ema.count).toBe(2);
  });

  test("goes on from its state bit for bit", () => {
    const next = noise(5);
    const vectors = Array.from({ length: 20 }, () => Float32Array.of(next(), next()));
    const whole = new Ema(2, 0.9);
    for (const x of vectors) whole.add(x);
    for (const cut of [0, 1, 7]) {
      const before = new Ema(2, 0.9);
      for (const x of vectors.slice(0, cut)) before.add(x);
      const after = copied(before, new Ema(2, 0.9));
      for (const x of vectors.slice(cut)) after.add(x);
      expect(after.current()).toEqual(whole.current());
      expect(after.count).toBe(20);
    }
  });
});

/** The same from all losses at once: the evaluations of the start and of the end. */
function swadOf(losses: readonly number[], { start, end, tolerance }: SwadSettings): [number, number] | null {
  const s = losses.findIndex(
    (loss, i) => i + start <= losses.length && loss === Math.min(...losses.slice(i, i + start)),
  );
  if (s < 0) return null;
  const limit = (tolerance * losses.slice(s, s + start).reduce((sum, loss) => sum + loss, 0)) / start;
  for (let e = s + end; e < losses.length; e++) {
    if (losses.slice(e - end + 1, e + 1).every((loss) => loss > limit)) return [s, e - end];
  }
  return [s, losses.length - 1];
}

/** Two steps before each evaluation; the vector of step t (from 1) is t itself. */
function judgedBy(losses: readonly number[], settings: SwadSettings): Swad {
  let swad = new Swad(1, settings);
  let t = 0;
  for (const loss of losses) {
    swad.add(Float32Array.of(++t));
    swad.add(Float32Array.of(++t));
    // A decision that is forgotten leaves no trace.
    swad.judged(loss / 2);
    swad = swad.judged(loss);
  }
  return swad;
}

describe("swad", () => {
  test("averages from the first minimum that lasts to the end of the run where no loss grows too high", () => {
    // Evaluations: the third is the least of three.
    const swad = judgedBy([4, 3, 1, 1.2, 1.1, 1.2], PAPER);
    // Steps 7 to 12.
    expect(swad.count).toBe(6);
    expect(swad.current()?.[0]).toBeCloseTo(9.5, 5);
    expect(swad.hasEnded).toBe(false);
  });

  test("has no average before its start is known", () => {
    expect(judgedBy([4, 3, 2, 1, 0.9], PAPER).current()).toBeNull();
    expect(judgedBy([4, 3, 2, 1, 1], PAPER).current()).toBeNull();
    expect(judgedBy([4, 3, 2, 1, 1, 1], PAPER).count).toBe(4);
  });

  test("ends before as many losses in a row as are too high, and takes in nothing more", () => {
    const settings = { start: 2, end: 3, tolerance: 1.5 };
    // The limit is 1.5 times the mean of 1 and 1.
    const losses = [2, 1, 1, 1.6, 1.2, 1.7, 1.6, 9];
    const swad = judgedBy(losses, settings);
    expect(swad.hasEnded).toBe(true);
    // From the second evaluation to the fifth: steps 5 to 10.
    expect(swad.count).toBe(6);
    expect(swad.current()?.[0]).toBeCloseTo(7.5, 5);
    const later = judgedBy([...losses, 1, 1], settings);
    expect(later.current()).toEqual(swad.current());
    // Two too high are no end: as if the run were over now.
    expect(judgedBy(losses.slice(0, -1), settings).count).toBe(10);
  });

  test("finds the start and the end of the paper's algorithm, whatever the losses", () => {
    const cases = fc.record({
      losses: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 14 }),
      start: fc.integer({ min: 1, max: 4 }),
      end: fc.integer({ min: 1, max: 4 }),
      tolerance: fc.constantFrom(1, 1.3, 2),
    });
    fc.assert(
      fc.property(cases, ({ losses, ...settings }) => {
        const swad = judgedBy(losses, settings);
        const [first, last] = swadOf(losses, settings) ?? [0, 0];
        expect(swad.count).toBe(2 * (last - first));
        // Steps 2 first + 3 to 2 last + 2.
        const expected = swad.count > 0 ? first + last + 2.5 : -1;
        expect(swad.current()?.[0] ?? -1).toBeCloseTo(expected, 4);
      }),
      { numRuns: 300 },
    );
  });

  test("goes on from its state bit for bit, before its start, in it, and at its end", () => {
    const losses = [3, 2, 2.5, 2.2, 1.9, 2, 2.6, 2, 9, 9, 9, 9];
    const settings = { start: 3, end: 3, tolerance: 1.1 };
    const next = noise(8);
    const steps = losses.map(() => [Float32Array.of(next(), next()), Float32Array.of(next(), next())]);
    const run = (cut: number | null): Swad => {
      let swad = new Swad(2, settings);
      losses.forEach((loss, i) => {
        const [first, second] = steps[i] as [Float32Array, Float32Array];
        swad.add(first);
        // Between two evaluations.
        if (i === cut) swad = copied(swad, new Swad(2, settings));
        swad.add(second);
        swad = swad.judged(loss);
      });
      return swad;
    };
    const whole = run(null);
    expect(whole.hasEnded).toBe(true);
    for (let cut = 0; cut < losses.length; cut++) {
      const swad = run(cut);
      expect([swad.current(), swad.count, swad.hasEnded]).toEqual([
        whole.current(),
        whole.count,
        whole.hasEnded,
      ]);
    }
  });
});

/** Squared, to the mean centre. */
const distance = (x: ArrayLike<number>): number => ((x[0] as number) - 1) ** 2 + ((x[1] as number) - 2) ** 2;

/** Distances of the last point and of its average. */
function distances(
  averageOf: (length: number) => VectorAverage,
  seed: number,
): [plain: number, averaged: number] {
  const objective = new Quadratic([{ name: "w", start: [3, -2], curvature: [1, 2] }]);
  const method = createMethod("lsq", objective.trainables, { steps: 400 });
  const vector = new TrainableVector(objective.trainables);
  const values = new Float32Array(vector.length);
  const average = averageOf(vector.length);
  const next = noise(seed);
  for (let step = 0; step < 400; step++) {
    method.step(objective, [[1 + 4 * next(), 2 + 4 * next()]], step, 0.05);
    vector.read(values);
    if (step >= 100) average.add(values);
  }
  objective.dispose();
  return [distance(values), distance(average.current() ?? [])];
}

describe("on a quadratic whose centre jumps about", () => {
  beforeAll(() => setTestBackend("cpu"));

  test.each<[string, (length: number) => VectorAverage]>([
    ["an exponential average", (length) => new Ema(length, 0.98)],
    ["swad from its first step on", (length) => new Swad(length, { ...PAPER, start: 1 }).judged(1)],
  ])("%s is nearer to the minimum than the last point", (_, averageOf) => {
    const both = [1, 2, 3, 4, 5].map((seed) => distances(averageOf, seed));
    const [plain, averaged] = [0, 1].map((i) => both.reduce((sum, pair) => sum + (pair[i] as number), 0));
    expect(averaged).toBeLessThan((plain as number) / 3);
  });
});

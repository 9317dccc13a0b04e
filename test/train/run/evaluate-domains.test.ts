import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { rangePreprocessing } from "../../../src/image/preprocessing.js";
import { createDomain, type Domain } from "../../../src/train/data/dataset.js";
import { useBackend } from "../../../src/train/backends/backends.js";
import {
  type DomainAccuracy,
  evaluatedDomain,
  evaluateDomains,
  firstEvaluated,
  type Evaluation,
  type EvaluationOptions,
  selectionAccuracy,
} from "../../../src/train/run/evaluate-domains.js";

beforeAll(() => useBackend("wasm"));

const SIZE = 4;
const CLASSES = 3;

/** Images whose first pixel says their number; labels in turn. */
function madeDomain(name: string, count: number): Domain {
  const pixels = new Uint8Array(count * SIZE * SIZE * 3);
  for (let i = 0; i < count; i++) pixels[i * SIZE * SIZE * 3] = i;
  const labels = Uint16Array.from({ length: count }, (_, i) => i % CLASSES);
  return createDomain(
    name,
    SIZE,
    labels,
    Array.from({ length: count }, (_, i) => `${i}.png`),
    pixels,
  );
}

const indices = (...list: number[]): Uint32Array => Uint32Array.from(list);
const OPTIONS: EvaluationOptions = {
  imageSize: SIZE,
  batchSize: 4,
  preprocessing: rangePreprocessing(0, 255),
};

/** Right for images of an even number, and never for others. */
function evenOnly(x: tf.Tensor4D): tf.Tensor2D {
  return tf.tidy(() => {
    const numbers = x.slice([0, 0, 0, 0], [-1, 1, 1, 1]).reshape([-1]);
    const label = numbers.mod(CLASSES);
    const said = label.add(numbers.mod(2)).mod(CLASSES);
    return tf.oneHot(said.toInt(), CLASSES).toFloat() as tf.Tensor2D;
  });
}

function alwaysSecond(x: tf.Tensor4D): tf.Tensor2D {
  return tf.tile(tf.tensor2d([[0, 1, 0]]), [x.shape[0], 1]);
}

describe("accuracy by domain", () => {
  test("is the share of images whose class is found, split by split, last small batch and all", async () => {
    const domains = [
      {
        domain: madeDomain("a", 11),
        role: "source" as const,
        training: indices(0, 1, 2, 3, 4),
        validation: indices(5, 6),
      },
      {
        domain: madeDomain("b", 9),
        role: "test" as const,
        training: indices(1, 3, 5, 7, 8),
        validation: indices(),
      },
    ];
    const done: number[] = [];
    const before = tf.memory().numTensors;
    const found = await evaluateDomains(evenOnly, domains, {
      ...OPTIONS,
      onImages: (n, total) => done.push(n / total),
    });
    expect(found?.domains).toEqual([
      { name: "a", role: "source", training: 3 / 5, validation: 1 / 2, all: 4 / 7 },
      { name: "b", role: "test", training: 1 / 5, validation: null, all: 1 / 5 },
    ]);
    expect(found?.classesSaid).toBe(3);
    expect(done).toEqual([4 / 12, 5 / 12, 7 / 12, 11 / 12, 1]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test("is none when it was stopped, and soon", async () => {
    const domains = [
      {
        domain: madeDomain("a", 99),
        role: "test" as const,
        training: indices(...Array(99).keys()),
        validation: indices(),
      },
    ];
    let images = 0;
    const options = { ...OPTIONS, onImages: (n: number) => void (images = n), isStopped: () => images >= 8 };
    expect(await evaluateDomains(evenOnly, domains, options)).toBeNull();
    expect(images).toBe(8);
  });
});

describe("what is evaluated", () => {
  const split = { training: indices(...Array(10).keys()), validation: indices(10, 11) };
  const domain = madeDomain("a", 12);

  test("of a source domain is all that validates, and evenly spaced training images", () => {
    const chosen = evaluatedDomain(domain, "source", split, 4);
    expect([...chosen.training]).toEqual([0, 2, 5, 7]);
    expect(chosen.validation).toBe(split.validation);
    expect([...evaluatedDomain(domain, "source", split, 99).training]).toEqual([...split.training]);
  });

  test("of a test domain is all that it has", () => {
    expect([...evaluatedDomain(domain, "test", split, 4).training]).toEqual([...split.training]);
  });
});

describe("before the first step", () => {
  const many = indices(...Array(300).keys());
  const evaluated = { domain: madeDomain("a", 300), training: many, validation: many.slice(0, 150) };

  test("at most 100 images a domain are evaluated, of those that validate", () => {
    const source = firstEvaluated({ ...evaluated, role: "source" });
    expect([source.training.length, source.validation.length]).toEqual([0, 100]);
    expect(Array.from(source.validation).slice(0, 4)).toEqual([0, 1, 3, 4]);
    const held = firstEvaluated({ ...evaluated, role: "test" });
    expect([held.training.length, held.validation.length]).toEqual([100, 0]);
  });

  test("training images are where none validate, and no more than there are", () => {
    const source = firstEvaluated({
      ...evaluated,
      training: many.slice(0, 9),
      validation: indices(),
      role: "source",
    });
    expect([source.training.length, source.validation.length]).toEqual([9, 0]);
  });
});

test("a network that always says the same says one class", async () => {
  const domains = [
    {
      domain: madeDomain("a", 9),
      role: "source" as const,
      training: indices(0, 1, 2),
      validation: indices(3),
    },
  ];
  expect((await evaluateDomains(alwaysSecond, domains, OPTIONS))?.classesSaid).toBe(1);
});

test("a model is selected by the mean over the source domains, and never by the test domain", () => {
  expect(selectionAccuracy(made(accuracy("source", 0.5), accuracy("source", 1), accuracy("test", 0.1)))).toBe(
    0.75,
  );
  expect(selectionAccuracy(made(accuracy("source", null), accuracy("test", 0.1)))).toBe(0);
});

function accuracy(role: "source" | "test", validation: number | null): DomainAccuracy {
  return { name: "x", role, training: 1, validation, all: 1 };
}

function made(...domains: readonly DomainAccuracy[]): Evaluation {
  return { step: 1, quantized: true, domains };
}

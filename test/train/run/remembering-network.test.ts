// What saf adds to a batch, with a network whose outputs are written down.

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import type { Batch } from "../../../src/train/data/batch.js";
import type { MethodState } from "../../../src/train/methods/method.js";
import type { Evaluated } from "../../../src/train/objective.js";
import { completeOptions } from "../../../src/train/run/complete-options.js";
import type { Learner } from "../../../src/train/run/learner-around.js";
import { RememberingNetwork, withMemory } from "../../../src/train/run/remembering-network.js";
import { setTestBackend } from "../support/tfjs-backends.js";

/** Gives one row of outputs for all images, and the value and gradient of the loss by it. */
class Told {
  said: number[] = [0, 0];

  evaluate(batch: Batch): Evaluated {
    const rows = Array.from(batch.images ?? [], () => this.said);
    const loss = batch.loss as NonNullable<Batch["loss"]>;
    const f = (x: tf.Tensor): tf.Scalar => loss(x as tf.Tensor2D, batch);
    const { value, grad } = tf.tidy(() => tf.valueAndGrad(f)(tf.tensor2d(rows)));
    return { loss: value.dataSync()[0] as number, gradients: [grad] };
  }

  setQuantized(): void {
    // It has no quantizers.
  }

  state(): MethodState {
    return { arrays: { weight: Float32Array.of(1) }, values: { quantized: true } };
  }

  restored: MethodState | null = null;
  restore(state: MethodState): void {
    this.restored = state;
  }
}

const OPTIONS = { weight: 2, epochs: 1, temperature: 5 };

function batchOf(...images: readonly number[]): Batch {
  return {
    x: tf.tensor4d([0], [1, 1, 1, 1]),
    labels: tf.tensor1d(
      images.map(() => 0),
      "int32",
    ),
    images: Int32Array.from(images),
  };
}

function made(): { told: Told; network: RememberingNetwork } {
  const told = new Told();
  const network = new RememberingNetwork(told as unknown as Learner, 4, OPTIONS);
  network.setQuantized(true);
  return { told, network };
}

function gradientOf({ gradients }: Evaluated): number[] {
  return [...(gradients[0]?.dataSync() ?? [])];
}

beforeAll(() => setTestBackend("cpu"));

describe("a step of saf", () => {
  test("has the plain loss for images that are seen first, and the divergence beside it for others", () => {
    const { told, network } = made();
    const first = network.evaluate(batchOf(0, 1), { updateStatistics: true });
    expect(first.loss).toBeCloseTo(Math.log(2), 6);
    // (p - t) / N
    gradientOf(first).forEach((g, i) => expect(g).toBeCloseTo([-0.25, 0.25, -0.25, 0.25][i] as number, 6));
    told.said = [5, 0];
    const second = network.evaluate(batchOf(1, 2), { updateStatistics: true });
    // What is told is the loss of the labels alone.
    expect(second.loss).toBeCloseTo(Math.log(1 + Math.exp(-5)), 6);
    const plain = 1 / (1 + Math.exp(-5)) - 1;
    // lambda (p - q) / (tau N), p = softmax([1, 0]), q = [0.5, 0.5], of image 1 alone.
    const drawn = (2 * (1 / (1 + Math.exp(-1)) - 0.5)) / (5 * 2);
    const [known, , unknown] = gradientOf(second);
    expect(known).toBeCloseTo(plain / 2 + drawn, 6);
    expect(unknown).toBeCloseTo(plain / 2, 6);
  });

  test("in full precision is that of the network, and nothing of it is remembered", () => {
    const { told, network } = made();
    network.setQuantized(false);
    const seen: (Batch["loss"] | null)[] = [];
    told.evaluate = (batch) => {
      seen.push(batch.loss ?? null);
      return { loss: 0, gradients: [] };
    };
    network.evaluate(batchOf(0), { updateStatistics: true });
    expect(seen).toEqual([null]);
    expect(network.state().arrays["earlier/visits"]).toEqual(new Float32Array(4));
  });

  test("goes on from its state as if it had not stopped", () => {
    const { told, network } = made();
    network.evaluate(batchOf(0, 1), { updateStatistics: true });
    const state = JSON.parse(JSON.stringify(network.state().values)) as MethodState["values"];
    const again = made();
    again.network.restore({ arrays: network.state().arrays, values: state });
    expect(Object.keys(again.told.restored?.arrays ?? {})).toEqual(["weight"]);
    for (const { told: each } of [{ told }, again]) each.said = [1, -1];
    const [one, other] = [network, again.network].map((each) =>
      gradientOf(each.evaluate(batchOf(1, 3), { updateStatistics: true })),
    );
    expect(other).toEqual(one);
  });
});

test("a run in which no output would ever be old enough is wrong usage", () => {
  const asked = { data: "shapes-dg", testDomain: ["none"], method: "saf", steps: 20, batchSize: 2 };
  const sources = [{ split: { training: new Uint32Array(10), validation: new Uint32Array(2) } }];
  const learner = new Told() as unknown as Learner;
  const ofEpochs = (safEpochs: number): Learner =>
    withMemory(learner, completeOptions({ ...asked, safEpochs }), sources);
  expect(ofEpochs(3)).toBeInstanceOf(RememberingNetwork);
  expect(() => ofEpochs(4)).toThrow(/--saf-epochs: got 4, but the 20 quantized steps are 4\.00 epochs/);
  expect(withMemory(learner, completeOptions({ ...asked, method: "lsq" }), sources)).toBe(learner);
});

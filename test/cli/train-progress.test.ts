import { describe, expect, test } from "vitest";
import { type LineSink, TrainProgress } from "../../src/cli/train-progress.js";
import type { Evaluation } from "../../src/train/run/evaluate-domains.js";
import type { StepFacts } from "../../src/train/run/observer.js";

const FACTS: StepFacts = {
  step: 340,
  steps: 1000,
  loss: 0.81249,
  learningRate: 0.001,
  imagesPerSecond: 311.6,
  frozen: 0.041,
  secondsLeft: 372,
};
const domain = (name: string, role: "source" | "test", accuracy: number): Evaluation["domains"][number] => ({
  name,
  role,
  training: 1,
  validation: accuracy,
  all: accuracy / 2,
});
const EVALUATION: Evaluation = {
  step: 300,
  quantized: true,
  domains: [
    domain("cartoon", "source", 0.68),
    domain("photo", "test", 0.826),
    domain("sketch", "source", 0.7121),
  ],
};

function progressOn(sink: Partial<LineSink>): {
  progress: TrainProgress;
  text: () => string;
  wait: (ms: number) => void;
} {
  let text = "";
  let now = 0;
  const progress = new TrainProgress({ ...sink, write: (more) => (text += more) }, () => now);
  return { progress, text: () => text, wait: (ms) => (now += ms) };
}

const LINE =
  "step 340/1000  loss 0.812  cartoon 68.0 % sketch 71.2 % | photo 41.3 %  frozen 4.1 %  312 images/s  6 min left";

describe("the progress of a training run", () => {
  test("tells loss, accuracy by domain, frozen scales, images a second and time left", () => {
    const { progress, text } = progressOn({});
    progress.evaluated(EVALUATION, true);
    progress.stepped(FACTS);
    expect(text()).toBe(
      `step 300, integer network: cartoon 68.0 % sketch 71.2 % | photo 41.3 %  kept\n${LINE}\n`,
    );
  });

  test("tells of a network for several bits the mean, and the accuracies at each", () => {
    const { progress, text } = progressOn({});
    const byBits = [2, 8].map((bits) => ({ bits, domains: [domain("photo", "source", bits / 10)] }));
    progress.evaluated({ ...EVALUATION, domains: [domain("photo", "source", 0.5)], byBits }, false);
    expect(text()).toBe(
      "step 300, integer network, mean of bits: photo 50.0 %\n  2 bits: photo 20.0 %\n  8 bits: photo 80.0 %\n",
    );
  });

  test("leaves out what is not known yet", () => {
    const { progress, text } = progressOn({});
    progress.stepped({ ...FACTS, frozen: null });
    expect(text()).toBe("step 340/1000  loss 0.812  312 images/s  6 min left\n");
  });

  test("writes one line over, four times a second at most, on a terminal", () => {
    const { progress, text, wait } = progressOn({ isTTY: true, columns: 30 });
    for (let i = 0; i < 100; i++) {
      progress.stepped(FACTS);
      wait(10);
    }
    progress.clear();
    // No accuracy yet: the frozen share stands behind the loss.
    expect(text()).toBe(
      `${`\r\u001b[K${"step 340/1000  loss 0.812  frozen".slice(0, 29)}`.repeat(4)}\r\u001b[K`,
    );
  });

  test("takes the line away before a line that stays", () => {
    const { progress, text } = progressOn({ isTTY: true });
    progress.stepped(FACTS);
    progress.note("left out: a.png");
    expect(text().endsWith("left\r\u001b[Knote: left out: a.png\n")).toBe(true);
  });

  test("writes a plain line twice a minute at most elsewhere", () => {
    const { progress, text, wait } = progressOn({});
    for (let i = 0; i < 61; i++) {
      progress.stepped(FACTS);
      wait(1000);
    }
    expect(text().split("\n")).toHaveLength(4);
    expect(text()).not.toContain("\r");
  });
});

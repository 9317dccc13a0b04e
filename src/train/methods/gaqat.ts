// GAQAT: sagm's step on a quantized network, where the disorder of a scale's gradient decides, window by window, whether
// one of its two parts is frozen. Owns those decisions and the moments they need; the passes are sagm's.

import type { Objective, Trainable } from "../objective.js";
import { Adam } from "../optimizer/adam.js";
import { RoleAdam } from "../optimizer/role-adam.js";
import { clipFactor, part, sumOfSquares } from "../optimizer/trainable-vector.js";
import { DisorderRecorder, freeze } from "./disorder.js";
import type { Method, MethodState, StepReport, WindowReport } from "./method.js";
import type { MethodSettings } from "./method-options.js";
import { StateReader, StateWriter } from "./method-state.js";
import { GradientPasses } from "./perturb.js";
import { meanInto, sagmPasses } from "./sagm.js";

const NAME = "gaqat";

/**
 * Weights and zero points: sagm's step. A scale: `(g_task + g_smoothness) / 2` without its frozen part.
 * Each window of K steps ends with the disorder of every scale (disorder.ts), which sets what is frozen in the next
 * one; nothing is in the first.
 *
 * How freezing is exact: of every scale three pairs of Adam's moments are kept, of the joint gradient, of half the task
 * part and of half the smoothness part, and all three take in every step. A scale moves by the joint pair, or, with a
 * part frozen, by the pair of the other alone: as if the frozen part had always been zero, in momentum and in the
 * second moment that normalizes it. With nothing frozen it is lsq-sagm's step bit for bit. On release it moves by
 * the joint pair again, which holds the gradients of the last steps and nothing from before the freeze that Adam would
 * have forgotten; the same number of gradients stands behind every pair, so its bias correction holds.
 */
export class Gaqat<Batch> implements Method<Batch> {
  readonly #settings: MethodSettings;
  readonly #passes: GradientPasses;
  /** Its `scales` are of the joint gradient. */
  readonly #adam: RoleAdam;
  readonly #taskAdam: Adam;
  readonly #smoothnessAdam: Adam;
  readonly #disorder: DisorderRecorder;
  /** Of each scale its layer's number, or its own. */
  readonly #groups: readonly number[];
  /** 1 where `frozenPart` is frozen. */
  #frozen: Uint8Array;

  constructor(trainables: readonly Trainable[], settings: MethodSettings) {
    this.#settings = settings;
    this.#passes = new GradientPasses(trainables, 2);
    const { vector } = this.#passes;
    const scales = vector.scales.end - vector.scales.start;
    this.#adam = new RoleAdam(vector, settings);
    this.#taskAdam = new Adam(scales, settings);
    this.#smoothnessAdam = new Adam(scales, settings);
    this.#disorder = new DisorderRecorder(scales, settings.window);
    const layers = [...new Set(vector.scaleSegments().map(({ trainable }) => trainable.layer))];
    this.#groups = vector
      .scaleSegments()
      .flatMap(({ trainable, start, end }) =>
        Array.from({ length: end - start }, (_, i) =>
          settings.granularity === "layer" ? layers.indexOf(trainable.layer) : start + i,
        ),
      );
    this.#frozen = new Uint8Array(scales);
  }

  step(objective: Objective<Batch>, batch: Batch, step: number, learningRate: number): StepReport {
    if (step < this.#settings.plainSteps) return this.#plainStep(objective, batch, step, learningRate);
    const { frozenPart, measuredPart, clipNorm, scaleRate } = this.#settings;
    const { vector, values, task, smoothness } = this.#passes;
    const losses = sagmPasses(this.#passes, objective, batch, step, this.#settings);
    const frozen = this.#frozen;
    const frozenCount = frozen.reduce((sum, one) => sum + one, 0);

    // The mean takes the place of `task`, so the scales' part of that is kept first.
    const scaleTask = part(task, vector.scales).slice();
    const scaleSmoothness = part(smoothness, vector.scales);
    const joint = meanInto(task, smoothness);
    const factor = clipFactor(clipNorm, () => this.#norm(joint, scaleTask, scaleSmoothness));

    this.#adam.stepWeights(values, joint, factor, learningRate);
    this.#adam.stepZeroPoints(values, joint, factor, learningRate);
    this.#adam.scales.record(part(joint, vector.scales), factor);
    this.#taskAdam.record(scaleTask, factor / 2);
    this.#smoothnessAdam.record(scaleSmoothness, factor / 2);
    const theta = part(values, vector.scales);
    const rate = learningRate * scaleRate;
    this.#adam.scales.move(
      theta,
      rate,
      frozen.map((one) => 1 - one),
    );
    if (frozenPart === "task") this.#smoothnessAdam.move(theta, rate, frozen);
    if (frozenPart === "smoothness") this.#taskAdam.move(theta, rate, frozen);

    vector.write(values);
    objective.constrain();
    const fraction = frozen.length === 0 ? 0 : frozenCount / frozen.length;
    const full = this.#disorder.record(measuredPart === "task" ? scaleTask : scaleSmoothness);
    return { ...losses, frozen: fraction, ...(full ? { window: this.#endWindow(step) } : {}) };
  }

  /** Before there are quantizers, scales have no gradient whose signs could be counted. */
  #plainStep(objective: Objective<Batch>, batch: Batch, step: number, learningRate: number): StepReport {
    const { vector, values, task } = this.#passes;
    const loss = this.#passes.atTheta(objective, batch, step);
    const factor = clipFactor(this.#settings.clipNorm, () => Math.sqrt(sumOfSquares(task)));
    this.#adam.stepWeights(values, task, factor, learningRate);
    vector.write(values);
    objective.constrain();
    return { loss };
  }

  /** Of what the step moves by: a frozen part shall not shorten the rest. */
  #norm(joint: Float32Array, scaleTask: Float32Array, scaleSmoothness: Float32Array): number {
    const moving = joint.slice();
    const scales = part(moving, this.#passes.vector.scales);
    const left = { task: scaleSmoothness, smoothness: scaleTask, both: null }[this.#settings.frozenPart];
    this.#frozen.forEach((one, i) => {
      if (one === 1) scales[i] = (left?.[i] ?? 0) / 2;
    });
    return Math.sqrt(sumOfSquares(moving));
  }

  #endWindow(step: number): WindowReport {
    const found = this.#disorder.take();
    this.#frozen = freeze(found, this.#groups, this.#settings);
    const segments = this.#passes.vector.scaleSegments();
    const byName = <T>(list: ArrayLike<T>): Record<string, readonly T[]> =>
      Object.fromEntries(
        segments.map(({ trainable, start, end }) => [trainable.name, Array.from(list).slice(start, end)]),
      );
    return {
      step,
      steps: this.#settings.window,
      disorder: byName(found.disorder),
      frozen: byName(this.#frozen),
    };
  }

  state(): MethodState {
    const state = new StateWriter();
    state.text("method", NAME);
    state.text("trainables", this.#passes.vector.describe());
    this.#adam.save(state);
    this.#taskAdam.save("scales-task", state);
    this.#smoothnessAdam.save("scales-smoothness", state);
    this.#disorder.save(state);
    state.array("frozen", Float32Array.from(this.#frozen));
    return state.state();
  }

  restore(state: MethodState): void {
    const reader = new StateReader(state);
    reader.expectText("method", NAME);
    reader.expectText("trainables", this.#passes.vector.describe());
    this.#adam.load(reader);
    this.#taskAdam.load("scales-task", reader);
    this.#smoothnessAdam.load("scales-smoothness", reader);
    this.#disorder.load(reader);
    // Anything but 0 is frozen: a flag has no other values to tell apart.
    this.#frozen = Uint8Array.from(reader.array("frozen", this.#frozen.length, 0), (one) =>
      one === 0 ? 0 : 1,
    );
  }

  dispose(): void {
    // It holds no tensors: a step frees its own.
  }
}

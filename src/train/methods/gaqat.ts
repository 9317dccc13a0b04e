// GAQAT and its relatives: sagm's step on a quantized network, where what the two gradients of a scale did over the last
// steps decides whether one of them is frozen. Owns those decisions and the moments they need; the passes are sagm's.

import type { Objective, Trainable } from "../objective.js";
import { Adam } from "../optimizer/adam.js";
import { RoleAdam } from "../optimizer/role-adam.js";
import { clipFactor, part, sumOfSquares } from "../optimizer/trainable-vector.js";
import { type Conflict, ConflictRecorder, measured, projectedMean } from "./conflict.js";
import { type Disorder, freeze } from "./disorder.js";
import type { ByTrainable, Method, MethodState, StepReport, WindowReport } from "./method.js";
import type { FrozenPart, MethodSettings } from "./method-options.js";
import { readerOf, stateOf } from "./method-state.js";
import { GradientPasses } from "./perturb.js";
import { meanInto, sagmPasses } from "./sagm.js";

/**
 * Weights and zero points: sagm's step. A scale: `(g_task + g_smoothness) / 2` without its frozen part, or, where
 * `opposing` says so, PCGrad of a layer's scales in its place (conflict.ts).
 * Each window of K steps ends with what was measured of every scale (conflict.ts), which sets what is frozen in the next
 * one; nothing is in the first. With `decision` step what is frozen is set at every step from the first window's end on.
 * lsq-sagm freezes nothing, gaqat and fqat are settings (methods.ts).
 *
 * How freezing is exact: of every scale three pairs of Adam's moments are kept, of the joint gradient, of half the task
 * part and of half the smoothness part, and all three take in every step. A scale moves by the joint pair, or, with a
 * part frozen, by the pair of the other alone: as if the frozen part had always been zero, in momentum and in the
 * second moment that normalizes it. With nothing frozen it is lsq-sagm's step bit for bit. On release it moves by
 * the joint pair again, which holds the gradients of the last steps and nothing from before the freeze that Adam would
 * have forgotten; the same number of gradients stands behind every pair, so its bias correction holds.
 */
export class Gaqat<Batch> implements Method<Batch> {
  readonly #name: string;
  readonly #settings: MethodSettings;
  readonly #passes: GradientPasses;
  /** Its `scales` are of the joint gradient. */
  readonly #adam: RoleAdam;
  readonly #taskAdam: Adam;
  readonly #smoothnessAdam: Adam;
  readonly #window: ConflictRecorder;
  /** For decisions at every step; null where windows decide. */
  readonly #recent: ConflictRecorder | null;
  readonly #layerNames: readonly string[];
  /** Of each scale its layer's number. */
  readonly #layers: readonly number[];
  /** Of each scale the number of what is frozen with it: its layer, or itself. */
  readonly #groups: readonly number[];
  /** 1 where a part is frozen. */
  #frozen: Uint8Array;

  /** @param name of the method; a state is only taken back by the same one */
  constructor(name: string, trainables: readonly Trainable[], settings: MethodSettings) {
    this.#name = name;
    this.#settings = settings;
    this.#passes = new GradientPasses(trainables, 2);
    const { vector } = this.#passes;
    const scales = vector.scales.end - vector.scales.start;
    this.#adam = new RoleAdam(vector, settings);
    this.#taskAdam = new Adam(scales, settings);
    this.#smoothnessAdam = new Adam(scales, settings);
    const segments = vector.scaleSegments();
    this.#layerNames = [...new Set(segments.map(({ trainable }) => trainable.layer))];
    this.#layers = segments.flatMap(({ trainable, start, end }) =>
      Array.from({ length: end - start }, () => this.#layerNames.indexOf(trainable.layer)),
    );
    this.#groups = settings.granularity === "layer" ? this.#layers : this.#layers.map((_, i) => i);
    this.#window = new ConflictRecorder(this.#layers, settings.window, "window");
    this.#recent =
      settings.decision === "step" ? new ConflictRecorder(this.#layers, settings.window, "fading") : null;
    this.#frozen = new Uint8Array(scales);
  }

  step(objective: Objective<Batch>, batch: Batch, step: number, learningRate: number): StepReport {
    if (step < this.#settings.plainSteps) return this.#plainStep(objective, batch, step, learningRate);
    const { clipNorm, scaleRate, opposing } = this.#settings;
    const { vector, values, task, smoothness } = this.#passes;
    const losses = sagmPasses(this.#passes, objective, batch, step, this.#settings);
    const frozen = this.#frozen;
    const frozenPart = this.#frozenPartAt(step);
    if (this.#settings.frozenPart === "alternate") frozen.fill(1);

    // The mean takes the place of `task`, so the scales' part of that is kept first.
    const scaleTask = part(task, vector.scales).slice();
    const scaleSmoothness = part(smoothness, vector.scales);
    const joint = meanInto(task, smoothness);
    if (opposing === "project") {
      part(joint, vector.scales).set(projectedMean(scaleTask, scaleSmoothness, this.#layers));
    }
    const factor = clipFactor(clipNorm, () => this.#norm(joint, scaleTask, scaleSmoothness, frozenPart));

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
    const share = shareOf(frozen);
    const isFull = this.#window.record(scaleTask, scaleSmoothness);
    if (this.#recent?.record(scaleTask, scaleSmoothness)) this.#decide(this.#recent.get());
    return {
      ...losses,
      ...(frozenPart === "none" ? {} : { frozen: share }),
      ...(isFull ? { window: this.#endWindow(step) } : {}),
    };
  }

  #frozenPartAt(step: number): Exclude<FrozenPart, "alternate"> {
    const { frozenPart, plainSteps, window } = this.#settings;
    if (frozenPart !== "alternate") return frozenPart;
    return Math.floor((step - plainSteps) / window) % 2 === 0 ? "smoothness" : "task";
  }

  #decide(conflict: Conflict): void {
    const { frozenPart, measure } = this.#settings;
    if (frozenPart === "none" || frozenPart === "alternate") return;
    this.#frozen = freeze(measured(conflict, measure), this.#groups, this.#settings);
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
  #norm(
    joint: Float32Array,
    scaleTask: Float32Array,
    scaleSmoothness: Float32Array,
    frozenPart: Exclude<FrozenPart, "alternate">,
  ): number {
    const moving = joint.slice();
    const scales = part(moving, this.#passes.vector.scales);
    const left = { none: scales, task: scaleSmoothness, smoothness: scaleTask, both: null }[frozenPart];
    this.#frozen.forEach((one, i) => {
      if (one === 1) scales[i] = (left?.[i] ?? 0) / 2;
    });
    return Math.sqrt(sumOfSquares(moving));
  }

  #endWindow(step: number): WindowReport {
    const found = this.#window.take();
    if (!this.#recent) this.#decide(found);
    const segments = this.#passes.vector.scaleSegments();
    const byName = <T>(list: readonly T[]): ByTrainable<T> =>
      Object.fromEntries(
        segments.map(({ trainable, start, end }) => [trainable.name, list.slice(start, end)]),
      );
    const { task, smoothness, opposed, cosine } = found;
    const both = (list: readonly number[]): ByTrainable<number | null> =>
      byName(list.map((one, i) => (task.seen[i] && smoothness.seen[i] ? one : null)));
    const ofOne = ({ disorder, seen }: Disorder): ByTrainable<number | null> =>
      byName(disorder.map((one, i) => (seen[i] ? one : null)));
    return {
      step,
      steps: this.#settings.window,
      disorder: ofOne(task),
      frozen: byName(Array.from(this.#frozen)),
      smoothnessDisorder: ofOne(smoothness),
      opposed: both(opposed),
      cosine: both(cosine),
      layers: Object.fromEntries(
        found.layers.map(({ layer, ...ofLayer }) => [this.#layerNames[layer] as string, ofLayer]),
      ),
    };
  }

  state(): MethodState {
    const state = stateOf(this.#name, this.#passes.vector.describe());
    this.#adam.save(state);
    this.#taskAdam.save("scales-task", state);
    this.#smoothnessAdam.save("scales-smoothness", state);
    this.#window.save("window", state);
    this.#recent?.save("recent", state);
    state.array("frozen", Float32Array.from(this.#frozen));
    return state.state();
  }

  restore(state: MethodState): void {
    const reader = readerOf(state, this.#name, this.#passes.vector.describe());
    this.#adam.load(reader);
    this.#taskAdam.load("scales-task", reader);
    this.#smoothnessAdam.load("scales-smoothness", reader);
    this.#window.load("window", reader);
    this.#recent?.load("recent", reader);
    // Anything but 0 is frozen: a flag has no other values to tell apart.
    this.#frozen = Uint8Array.from(reader.array("frozen", this.#frozen.length, 0), (one) =>
      one === 0 ? 0 : 1,
    );
  }

  dispose(): void {
    // It holds no tensors: a step frees its own.
  }
}

function shareOf(frozen: Uint8Array): number {
  return frozen.length === 0 ? 0 : frozen.reduce((sum, one) => sum + one, 0) / frozen.length;
}

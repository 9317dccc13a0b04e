// Quietens weights whose integers flip back and forth (Nagel et al., ICML 2022, "Overcoming Oscillations in
// Quantization-Aware Training"): pulls them to the middle of their step, or holds them. Owns no network.

import * as tf from "@tensorflow/tfjs";
import { QdgError } from "../base/error.js";
import { clip, roundHalfEven } from "../quant/affine.js";
import { qmax, qmin } from "../quant/spec.js";
import type { MethodState } from "./methods/method.js";
import { StateReader, StateWriter } from "./methods/method-state.js";
import type { Trainable } from "./objective.js";
import type { Quantizer } from "./quantizers/quantizer.js";

export interface SteadySettings {
  readonly kind: "dampen" | "freeze";
  /** The lambda that dampening ends with. */
  readonly dampening: number;
  /** The frequency that freezing ends with, in flips a step. */
  readonly threshold: number;
  /** T: steps with quantizers. */
  readonly steps: number;
}

/** Of the averages of flips and of integers, a step (the paper's). */
const MOMENTUM = 0.01;
/** What the threshold begins with, as in the authors' runs: at first only weights that hardly do anything but flip are held. */
const FIRST_THRESHOLD = 0.1;
/** Weights of more bits have steps so fine that flipping costs nothing; the authors' code leaves them alone, too. */
const MOST_BITS = 4;

interface Watched {
  readonly weight: Trainable;
  readonly quantizer: Pick<Quantizer, "scales" | "spec">;
  readonly place: Place;
  /** After the last step. */
  readonly integers: Float32Array;
  /** The sign of the last change: 0 before the first. */
  readonly direction: Float32Array;
  readonly frequency: Float32Array;
  readonly mean: Float32Array;
  /** 1 where it is held, at `integers`. */
  readonly held: Float32Array;
}

/** Which scale an element has: the k-th of `inner` elements side by side, k counted modulo the scales. */
interface Place {
  readonly inner: number;
  readonly scales: number;
}

/**
 * `dampen`: `lambda sum (w_hat - clip(w, s qmin, s qmax))^2` is added to the loss, `w_hat = s q(w)` held still, so that
 * latent weights alone get a gradient of it, `2 lambda (clip(w) - w_hat)`, and scales none. Over T steps with quantizers
 * `lambda = L (1 - cos(pi t / T)) / 2`: from 0 to L.
 *
 * `freeze`: after every step, with q the integer of a weight and o = 1 where it has changed against its last change,
 * `f = 0.01 o + 0.99 f`, `q_mean = 0.01 q + 0.99 q_mean`. Where `f > F` the weight is held from then on, at the integer
 * `round(q_mean)`: `w = s round(q_mean)` whatever its gradient and its scale do.
 * `F = F_T + (0.1 - F_T) (1 + cos(pi t / T)) / 2`: from 0.1 to F_T.
 *
 * Weights of up to 4 bits alone. Integers are those of the forward pass. One pass over the weights a step, no pass of the network.
 */
export class SteadyWeights {
  readonly #settings: SteadySettings;
  readonly #trainables: readonly Trainable[];
  readonly #watched: readonly Watched[];
  /** Steps with quantizers. */
  #step = 0;

  /**
   * @throws QdgError `usage` where there is no weight of so few bits; `internal` for a quantizer whose weight is not among
   * the trainables
   */
  constructor(
    trainables: readonly Trainable[],
    quantizers: readonly Pick<Quantizer, "id" | "role" | "scales" | "spec" | "trainables">[],
    settings: SteadySettings,
  ) {
    this.#settings = settings;
    this.#trainables = trainables;
    this.#watched = quantizers
      .filter(({ role, spec }) => role === "weight" && spec.bits <= MOST_BITS)
      .flatMap((quantizer) => {
        // A constant that is laid out for its reader is named after the weight that it is of.
        const weights = trainables.filter(
          ({ name, role }) =>
            role === "weight" && (name === quantizer.id || name.startsWith(`${quantizer.id}@`)),
        );
        if (weights.length === 0) throw new QdgError("internal", quantizer.id, "there is no such weight");
        const scale = quantizer.trainables[0]?.variable.shape ?? [];
        return weights.map((weight) => watchedOf(weight, quantizer, scale));
      });
    if (this.#watched.length === 0) {
      throw new QdgError(
        "usage",
        "oscillation",
        `got ${settings.kind}, but no weights have ${MOST_BITS} bits or fewer, and finer steps are left alone; leave it out, or give fewer bits`,
      );
    }
  }

  get #part(): number {
    return Math.min(this.#step / this.#settings.steps, 1);
  }

  /** Steps with quantizers so far. */
  get step(): number {
    return this.#step;
  }

  /** The share of the watched weights that is held, 0..1. */
  get heldShare(): number {
    const all = this.#watched.reduce((sum, { held }) => sum + held.length, 0);
    const held = this.#watched.reduce((sum, each) => sum + each.held.reduce((a, one) => a + one, 0), 0);
    return all === 0 ? 0 : held / all;
  }

  /** Adds dampening to the gradients of a pass with quantizers. @param gradients one a trainable; replaced in place */
  dampen(gradients: tf.Tensor[]): void {
    if (this.#settings.kind !== "dampen") return;
    const lambda = (this.#settings.dampening * (1 - Math.cos(Math.PI * this.#part))) / 2;
    if (lambda === 0) return;
    for (const { weight, quantizer, place } of this.#watched) {
      const index = this.#trainables.indexOf(weight);
      const gradient = gradients[index] as tf.Tensor;
      const [low, high] = [qmin(quantizer.spec), qmax(quantizer.spec)];
      const scales = quantizer.scales();
      const values = weight.variable.dataSync<"float32">();
      const sum = gradient.dataSync<"float32">().map((g, i) => {
        const s = scaleAt(scales, place, i);
        const w = values[i] as number;
        const inside = clip(w, low * s, high * s);
        return g + 2 * lambda * (inside - s * integerOf(w, s, low, high));
      });
      gradients[index] = tf.tensor(sum, gradient.shape, "float32");
      gradient.dispose();
    }
  }

  /** After a step with quantizers. */
  stepped(): void {
    if (this.#settings.kind === "freeze") {
      const { threshold } = this.#settings;
      const limit = threshold + ((FIRST_THRESHOLD - threshold) * (1 + Math.cos(Math.PI * this.#part))) / 2;
      for (const watched of this.#watched) look(watched, this.#step === 0, limit);
    }
    this.#step += 1;
    this.hold();
  }

  /** Brings weights that are held back to their integers, by the scales as they are now. */
  hold(): void {
    if (this.#settings.kind !== "freeze") return;
    for (const { weight, quantizer, place, held, integers } of this.#watched) {
      if (!held.includes(1)) continue;
      const scales = quantizer.scales();
      const values = weight.variable
        .dataSync<"float32">()
        .map((w, i) => (held[i] === 1 ? scaleAt(scales, place, i) * (integers[i] as number) : w));
      tf.tidy(() => weight.variable.assign(tf.tensor(values, weight.variable.shape, "float32")));
    }
  }

  state(): MethodState {
    const state = new StateWriter();
    state.text("kind", this.#settings.kind);
    state.count("step", this.#step);
    if (this.#settings.kind === "freeze") {
      for (const watched of this.#watched) {
        for (const name of WATCHED) state.array(`${watched.weight.name}/${name}`, watched[name]);
      }
    }
    return state.state();
  }

  /** @throws QdgError `invalid-data` for the state of another kind, or of other weights */
  restore(state: MethodState): void {
    const reader = new StateReader(state);
    reader.expectText("kind", this.#settings.kind);
    this.#step = reader.count("step");
    if (this.#settings.kind !== "freeze") return;
    for (const watched of this.#watched) {
      for (const name of WATCHED) {
        const into = watched[name];
        into.set(reader.array(`${watched.weight.name}/${name}`, into.length, -Infinity));
      }
    }
  }
}

const WATCHED = ["integers", "direction", "frequency", "mean", "held"] as const;

function watchedOf(weight: Trainable, quantizer: Watched["quantizer"], scale: readonly number[]): Watched {
  const { shape, size } = weight.variable;
  const last = scale.findLastIndex((each) => each > 1) - scale.length;
  const inner = shape.slice(shape.length + last + 1).reduce((product, each) => product * each, 1);
  const scales = scale.reduce((product, each) => product * each, 1);
  const zeros = (): Float32Array => new Float32Array(size);
  return {
    weight,
    quantizer,
    place: { inner: scales === 1 ? size : inner, scales },
    integers: zeros(),
    direction: zeros(),
    frequency: zeros(),
    mean: zeros(),
    held: zeros(),
  };
}

function look(watched: Watched, isFirst: boolean, limit: number): void {
  const { weight, quantizer, place, integers, direction, frequency, mean, held } = watched;
  const [low, high] = [qmin(quantizer.spec), qmax(quantizer.spec)];
  const scales = quantizer.scales();
  const values = weight.variable.dataSync<"float32">();
  for (let i = 0; i < values.length; i++) {
    if (held[i] === 1) continue;
    const now = integerOf(values[i] as number, scaleAt(scales, place, i), low, high);
    if (isFirst) {
      integers[i] = now;
      mean[i] = now;
      continue;
    }
    const change = Math.sign(now - (integers[i] as number));
    const flipped = change !== 0 && change === -(direction[i] as number);
    if (change !== 0) direction[i] = change;
    frequency[i] = (1 - MOMENTUM) * (frequency[i] as number) + (flipped ? MOMENTUM : 0);
    mean[i] = (1 - MOMENTUM) * (mean[i] as number) + MOMENTUM * now;
    integers[i] = now;
    if ((frequency[i] as number) <= limit) continue;
    held[i] = 1;
    integers[i] = clip(roundHalfEven(mean[i] as number), low, high);
  }
}

function scaleAt(scales: Float32Array, { inner, scales: count }: Place, i: number): number {
  return scales[Math.floor(i / inner) % count] as number;
}

/** As the forward pass rounds it. */
function integerOf(w: number, scale: number, low: number, high: number): number {
  return clip(roundHalfEven(Math.fround(w / scale)), low, high);
}

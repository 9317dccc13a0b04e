// One quantizer of a network in training: its learned scale, its zero point where it has one, and what of them
// goes into the file. Where it stands is decided by placeQuantizers, never here.

import * as tf from "@tensorflow/tfjs";
import { QdgError } from "../../base/error.js";
import type { LearnedQuantizer } from "../../quant/learned.js";
import { MseObserver } from "../../quant/observers/mse.js";
import { leastSquaresScale } from "../../quant/weight-scale.js";
import { type QuantParams, qmax, qmin, type QuantSpec } from "../../quant/spec.js";
import type { Trainable } from "../objective.js";
import {
  deployedZeroPoint,
  fakeQuantize,
  fakeQuantizeAsymmetric,
  fakeQuantizeRelu6,
  type Range,
} from "./fake-quantize.js";

/**
 * What is learned: the logarithm of the scale, so that steps are relative and it stays above 0, or the scale
 * itself as LSQ has it.
 */
export const SCALE_PARAMETERIZATIONS = ["log", "linear"] as const;
export type ScaleParameterization = (typeof SCALE_PARAMETERIZATIONS)[number];

/** No scale falls below it: float32 stays normal when scales multiply. */
export const SMALLEST_SCALE: number = 2 ** -40;

export interface QuantizerOptions {
  /** The name that its scale is stored under: a weight's, or that of the layer that gives the value. */
  readonly id: string;
  readonly role: "weight" | "activation";
  readonly layer: string;
  readonly spec: QuantSpec;
  /** Of the scales; broadcasts against the value. [] for one scale. */
  readonly shape: readonly number[];
  readonly parameterization: ScaleParameterization;
  /** Of a network for several bits: the bits whose set it is in. */
  readonly setBits?: number | null;
}

export class Quantizer {
  readonly id: string;
  readonly role: "weight" | "activation";
  readonly layer: string;
  readonly spec: QuantSpec;
  readonly trainables: readonly Trainable[];
  /** False until {@link initialize} has seen a value. */
  initialized = false;
  readonly #parameter: tf.Variable;
  readonly #zeroPoint: tf.Variable | null;
  readonly #range: Range;
  readonly #log: boolean;

  constructor({ id, role, layer, spec, shape, parameterization, setBits = null }: QuantizerOptions) {
    this.id = id;
    this.role = role;
    this.layer = layer;
    this.spec = spec;
    this.#range = { low: qmin(spec), high: qmax(spec) };
    this.#log = parameterization === "log";
    this.#parameter = tf.tidy(() => tf.variable(tf.zeros([...shape])));
    this.#zeroPoint = spec.symmetric ? null : tf.tidy(() => tf.variable(tf.scalar(0)));
    // One of another set has the same id.
    const at = setBits === null ? "" : `@${setBits}`;
    const own = { layer, ...(setBits === null ? {} : { bits: setBits }) };
    this.trainables = [
      { name: `${id}/scale${at}`, role: "scale", variable: this.#parameter, ...own },
      ...(this.#zeroPoint
        ? [{ name: `${id}/zero-point${at}`, role: "zero-point" as const, variable: this.#zeroPoint, ...own }]
        : []),
    ];
  }

  /** Number of scales. */
  get count(): number {
    return this.#parameter.size;
  }

  /**
   * The first scales, and the first zero point: those of least squared error.
   *
   * @throws QdgError `invalid-data` when a value is not finite
   */
  initialize(v: tf.Tensor): void {
    const scales = this.role === "weight" ? this.#fitWeight(v) : this.#fitRange(v);
    if (!scales.every(Number.isFinite)) {
      throw new QdgError(
        "invalid-data",
        this.layer,
        `${this.id}: its first values are not finite; look at the model's weights and the images`,
      );
    }
    this.#assign(scales);
    this.initialized = true;
  }

  /** Scales and a zero point that are known. */
  set({ scale, zeroPoint }: QuantParams): void {
    this.#assign(scale);
    tf.tidy(() => this.#zeroPoint?.assign(tf.scalar(zeroPoint[0] as number)));
    this.initialized = true;
  }

  #fitWeight(v: tf.Tensor): Float32Array {
    const { shape, size } = this.#parameter;
    const axes = v.shape.map((_, axis) => axis);
    const scaled = axes.filter((axis) => (shape[axis] ?? 1) !== 1);
    const order = [...scaled, ...axes.filter((axis) => !scaled.includes(axis))];
    const rows = tf.tidy(() => tf.transpose(v, order).dataSync<"float32">());
    const length = rows.length / size;
    const spec = { ...this.spec, axis: 0 };
    const { scale } = leastSquaresScale(rows, [size, length], spec, { where: this.id });
    // What an integer of the sum is worth, and so the bias is rounded to, is to be nothing where weights are all 0.
    return scale.map((s, k) => (rows.subarray(k * length, (k + 1) * length).every((w) => w === 0) ? 0 : s));
  }

  #fitRange(v: tf.Tensor): Float32Array {
    const observer = new MseObserver();
    observer.observe(v.dataSync<"float32">(), this.id);
    const { scale, zeroPoint } = observer.params(this.spec, { powerOfTwo: false });
    tf.tidy(() => this.#zeroPoint?.assign(tf.scalar(zeroPoint[0] as number)));
    return scale;
  }

  #assign(scales: Float32Array): void {
    const values = scales.map((scale) => {
      // Dead weights have mean 0.
      const held = Math.max(scale, SMALLEST_SCALE);
      return this.#log ? Math.log(held) : held;
    });
    tf.tidy(() => this.#parameter.assign(tf.tensor(values, this.#parameter.shape)));
  }

  /** The scales as they are used. */
  scales(): Float32Array {
    const values = this.#parameter.dataSync<"float32">();
    return this.#log ? values.map(Math.exp) : values;
  }

  /** {@link scales} with the gradient of the parameter; its shape. */
  #scale(): tf.Tensor {
    if (!this.#log) return this.#parameter;
    const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
      const scales = this.scales();
      const { shape } = args[0] as tf.Tensor;
      const gradFunc = (dy: tf.Tensor): tf.Tensor =>
        tf.tensor(
          dy.dataSync<"float32">().map((each, k) => each * (scales[k] as number)),
          shape,
          "float32",
        );
      return { value: tf.tensor(scales, shape, "float32"), gradFunc };
    });
    return compute(this.#parameter);
  }

  /** Whether values below 0 become 0, so that no rectifier is needed before. */
  get clipsAtZero(): boolean {
    return this.spec.symmetric && !this.spec.signed;
  }

  /**
   * The fake-quantized value. LSQ's factor on the gradient of the scale: `1 / sqrt(N qmax)`.
   *
   * @param relu6 what is quantized is `min(max(v, 0), 6)`; of a quantizer that clips at 0
   */
  apply(v: tf.Tensor, { relu6 }: { readonly relu6: boolean } = { relu6: false }): tf.Tensor {
    const elements = v.size / this.#parameter.size;
    const gradientScale = 1 / Math.sqrt(elements * this.#range.high);
    if (relu6) return fakeQuantizeRelu6(v, this.#scale(), this.#range.high, gradientScale);
    return this.#zeroPoint
      ? fakeQuantizeAsymmetric(v, this.#scale(), this.#zeroPoint, this.#range, gradientScale)
      : fakeQuantize(v, this.#scale(), this.#range, gradientScale);
  }

  /** The integers of a value, from the zero point. */
  integers(v: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const { low, high } = this.#range;
      const q = tf.round(tf.div(v, this.#scale()));
      if (!this.#zeroPoint) return tf.clipByValue(q, low, high);
      const z = deployedZeroPoint(this.#zeroPoint, this.#range);
      return tf.sub(tf.clipByValue(tf.add(q, z), low, high), z);
    });
  }

  /** Brings scales back above the floor. */
  constrain(): void {
    const floor = Math.fround(this.#log ? Math.log(SMALLEST_SCALE) : SMALLEST_SCALE);
    const values = this.#parameter.dataSync<"float32">();
    if (values.every((value) => value >= floor)) return;
    const raised = values.map((value) => Math.max(value, floor));
    tf.tidy(() => this.#parameter.assign(tf.tensor(raised, this.#parameter.shape)));
  }

  /** What the file gets: exactly the numbers that {@link apply} uses. */
  learned(): LearnedQuantizer {
    const { bits, signed } = this.spec;
    const scale = this.scales().slice();
    if (!this.#zeroPoint) return { bits, signed, scale };
    return {
      bits,
      signed,
      scale,
      zeroPoint: Int32Array.of(deployedZeroPoint(this.#zeroPoint, this.#range)),
    };
  }

  dispose(): void {
    this.#parameter.dispose();
    this.#zeroPoint?.dispose();
  }
}

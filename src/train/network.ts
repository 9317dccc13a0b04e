// A model in training: its weights as variables, quantizers where the export will place them, a loss and
// its gradients. What it computes between is the float network with fake-quantized values; the integers of the
// deployed network are integer-network.ts's.

import * as tf from "@tensorflow/tfjs";
import { QdgError } from "../base/error.js";
import { floatAttribute, inputOf, type Node, outputOf, type Value } from "../graph/graph.js";
import { clipRange } from "../graph/node-kinds.js";
import type { Recipe } from "../graph/recipe.js";
import { vainBits } from "../graph/recipe-effects.js";
import { type Preprocessing, preprocessingToJson } from "../image/preprocessing.js";
import type { Layout } from "../image/to-tensor.js";
import { type LearnedQuantizer, learnedToJson } from "../quant/learned.js";
import { classLoss } from "./cross-entropy.js";
import type { Batch } from "./data/batch.js";
import { checkOperators, constantTensor, execute, type Hooks } from "./execute.js";
import type { MethodState } from "./methods/method.js";
import {
  movingStatistics,
  moveStatistics,
  type SeeStatistics,
  StatisticsEstimate,
  type StatisticVariables,
} from "./normalization-statistics.js";
import type { Evaluated, EvaluateOptions, Objective, Trainable } from "./objective.js";
import { normalize, type Statistics } from "./ops/batch-normalization.js";
import { channelsLast, heldImages, type HeldTensor } from "./ops/op.js";
import { createParameters, type Parameter } from "./parameters.js";
import type { Quantizer } from "./quantizers/quantizer.js";
import { QuantizerSet, type QuantizerSetOptions } from "./quantizers/quantizer-set.js";
import { biasUnit, roundBeta, roundBias } from "./round-bias.js";
import { namedGraphOf, type TrainableModel } from "./trainable-model.js";
import { placedQuantizers, type TrainingGraph, trainingGraph } from "./training-graph.js";

export interface NetworkOptions extends QuantizerSetOptions {
  /** Bits; null for a network in full precision. */
  readonly recipe: Recipe | null;
  /** For several bits of inner layers, in place of `recipe`, which is that of the most: the recipe of each. */
  readonly byBits?: ReadonlyMap<number, Recipe>;
  /** Batch normalization by its batch, moving the statistics along, or by the statistics as they stand. */
  readonly statistics: "batch" | "frozen";
  /** How images become the input: fixes the input's scale, and is written into the model. */
  readonly preprocessing: Preprocessing | null;
  readonly labels?: readonly string[];
}

type NormInputs = [
  x: HeldTensor,
  gamma: HeldTensor,
  beta: HeldTensor,
  mean: HeldTensor,
  variance: HeldTensor,
];
type Mode = "training" | "initializing" | "predicting";

export class TrainingNetwork<M extends TrainableModel = TrainableModel> implements Objective<Batch> {
  readonly trainables: readonly Trainable[];
  readonly quantizers: readonly Quantizer[];
  /** What was asked of bits in vain. */
  readonly notes: readonly string[];
  readonly #model: M;
  readonly #layout: Layout;
  readonly #plan: TrainingGraph;
  readonly #options: NetworkOptions;
  readonly #parameters: ReadonlyMap<Value, Parameter>;
  /** One; of a network for several bits one for each, from the most to the fewest. */
  readonly #sets: readonly QuantizerSet[];
  /** The one in use. */
  #set: QuantizerSet;
  readonly #constants = new Map<Value, HeldTensor | null>();
  readonly #moving: ReadonlyMap<Node, StatisticVariables>;
  #quantized: boolean;
  #statistics: "batch" | "frozen";

  /**
   * @throws QdgError `unsupported-layer`, `unsupported-model` for what cannot be trained, and what reading and
   * placing quantizers throw
   */
  static create<M extends TrainableModel>(model: M, options: NetworkOptions): TrainingNetwork<M> {
    return new TrainingNetwork(model, options);
  }

  private constructor(model: M, options: NetworkOptions) {
    const { graph, weightNames, layout } = namedGraphOf(model);
    this.#model = model;
    this.#layout = layout;
    this.#options = options;
    this.#plan = trainingGraph(graph, options.recipe);
    checkOperators(this.#plan.graph);
    this.#parameters = createParameters(this.#plan.graph, model, weightNames);
    this.#quantized = options.recipe !== null;
    const asked = { weightsOnly: options.weightsOnly === true, learned: false };
    this.notes = options.recipe ? vainBits(options.recipe, this.#plan.placements, asked) : [];
    this.#statistics = options.statistics;
    this.#moving = movingStatistics(this.#plan.graph, this.#parameters);
    const byBits = [...(options.byBits ?? [])].sort(([a], [b]) => b - a);
    const { graph: trained, deployed } = this.#plan;
    const first = byBits.length === 0 ? this.#plan : null;
    this.#sets = (byBits.length === 0 ? [[null, options.recipe] as const] : byBits).map(
      ([bits, recipe]) =>
        new QuantizerSet(
          first ?? placedQuantizers(trained, deployed, recipe),
          deployed,
          this.#parameters,
          options,
          bits,
        ),
    );
    this.#set = this.#sets[0] as QuantizerSet;
    this.quantizers = this.#sets.flatMap(({ quantizers }) => quantizers);
    this.trainables = [
      ...[...this.#parameters.values()]
        .filter(({ isStatistic }) => !isStatistic)
        .map(({ name, layer, variable }) => ({ name, role: "weight" as const, layer, variable })),
      ...this.quantizers.flatMap(({ trainables }) => trainables),
    ];
  }

  /** Of a network for several bits: has it run, and learn, by the quantizers of these; statistics stay (bits-network.ts). */
  useBits(bits: number): void {
    const set = this.#sets.find((each) => each.bits === bits);
    if (!set) throw new QdgError("internal", `${bits} bits`, "are none of those of the network");
    this.#set = set;
  }

  /** Those of normalization, `weight` as the model calls it. */
  get statistics(): Pick<Parameter, "name" | "weight" | "variable">[] {
    return [...this.#parameters.values()].filter(({ isStatistic }) => isStatistic);
  }

  /** Whether values and weights go through their quantizers. */
  setQuantized(on: boolean): void {
    this.#quantized = on && this.#options.recipe !== null;
  }

  setStatistics(statistics: "batch" | "frozen"): void {
    this.#statistics = statistics;
  }

  /** Finds the first scales of all quantizers, each on what those before it let through. */
  initialize(batch: Batch): void {
    tf.tidy(() => void this.#run(batch.x, "initializing"));
  }

  /** For statistics of batch normalization that do not lag behind. */
  estimateStatistics(): StatisticsEstimate {
    return new StatisticsEstimate(this.#moving, (x, seen) => {
      tf.tidy(() => void this.#run(x, "training", seen));
    });
  }

  evaluate(batch: Batch, { updateStatistics }: EvaluateOptions): Evaluated {
    const { x, loss: lossOf = classLoss } = batch;
    const variables = this.trainables.map(({ variable }) => variable);
    const seen: SeeStatistics | null = updateStatistics
      ? (node, statistics) => moveStatistics(this.#moving.get(node), statistics)
      : null;
    const { value, grads } = tf.variableGrads(() => lossOf(this.#run(x, "training", seen), batch), variables);
    const loss = value.dataSync<"float32">()[0] as number;
    value.dispose();
    const gradients = variables.map((variable) => grads[variable.name] ?? tf.zerosLike(variable));
    return { loss, gradients };
  }

  /** The values before the softmax, [N, classes], by the moving statistics. */
  logits(x: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => this.#run(x, "predicting"));
  }

  /** The first layer whose output is not finite on this batch; null when all are. */
  firstNotFinite(x: tf.Tensor4D): string | null {
    let found: string | null = null;
    tf.tidy(() => {
      for (const [value, { tensor }] of this.#execute(x, "predicting", null)) {
        const isFinite = tf.all(tf.isFinite(tensor)).dataSync()[0];
        if (!isFinite) found ??= value.producer?.origin ?? value.name;
      }
    });
    return found;
  }

  constrain(): void {
    if (this.#quantized) for (const quantizer of this.quantizers) quantizer.constrain();
  }

  /** The integers of every quantized weight, by the quantizer's id; the caller disposes of them. */
  weightIntegers(): Map<string, tf.Tensor> {
    const integers = new Map<string, tf.Tensor>();
    for (const [value, { variable }] of this.#parameters) {
      const quantizer = this.#set.byValue.get(value.name);
      if (quantizer) integers.set(quantizer.id, quantizer.integers(variable));
    }
    return integers;
  }

  /** The model as it stands, with its learned scales where it is quantized. */
  toModel(): M {
    const weights = new Map(this.#model.weights);
    for (const { weight, variable } of this.#parameters.values()) {
      const { shape } = weights.get(weight) as { shape: readonly number[] };
      const data = Float32Array.from(variable.dataSync<"float32">());
      weights.set(weight, { dtype: "float32", shape, data });
    }
    const { preprocessing, labels } = this.#options;
    const qdg = learnedToJson({
      quantizers: this.#quantized ? this.#set.learned() : new Map<string, LearnedQuantizer>(),
      ...(preprocessing ? { preprocessing: preprocessingToJson(preprocessing) } : {}),
      ...(labels ? { labels } : {}),
    });
    return { ...this.#model, weights, userDefinedMetadata: { ...this.#model.userDefinedMetadata, qdg } };
  }

  /** Weights, statistics, scales and zero points. */
  state(): MethodState {
    const arrays: Record<string, Float32Array> = {};
    for (const [name, variable] of this.#variables()) {
      arrays[name] = Float32Array.from(variable.dataSync<"float32">());
    }
    return { arrays, values: { quantized: this.#quantized, statistics: this.#statistics } };
  }

  /** @throws QdgError `invalid-data` for the state of another network */
  restore({ arrays, values }: MethodState): void {
    const variables = this.#variables();
    const unknown = Object.keys(arrays).find((name) => !variables.has(name));
    if (unknown !== undefined) throw new QdgError("invalid-data", unknown, "the model has no such weight");
    for (const [name, variable] of variables) {
      const array = arrays[name];
      if (array?.length !== variable.size) {
        const got = array ? `${array.length} numbers` : "nothing";
        throw new QdgError(
          "invalid-data",
          name,
          `got ${got}, expected ${variable.size}; the state is of another model`,
        );
      }
      tf.tidy(() => variable.assign(tf.tensor(array.slice(), variable.shape)));
    }
    this.#quantized = values["quantized"] === true;
    this.#statistics = values["statistics"] === "batch" ? "batch" : "frozen";
  }

  dispose(): void {
    for (const { variable } of this.#parameters.values()) variable.dispose();
    for (const set of this.#sets) set.dispose();
    for (const held of this.#constants.values()) held?.tensor.dispose();
    this.#constants.clear();
  }

  #variables(): Map<string, tf.Variable> {
    return new Map([
      ...[...this.#parameters.values()].map(({ name, variable }) => [name, variable] as const),
      ...this.trainables.map(({ name, variable }) => [name, variable] as const),
    ]);
  }

  #run(x: tf.Tensor4D, mode: Mode, seen: SeeStatistics | null = null): tf.Tensor2D {
    const { logits } = this.#plan;
    const values = this.#execute(x, mode, seen);
    return channelsLast(values.get(logits) as HeldTensor) as tf.Tensor2D;
  }

  #execute(x: tf.Tensor4D, mode: Mode, seen: SeeStatistics | null): Map<Value, HeldTensor> {
    const { graph } = this.#plan;
    const weights = new Map<Value, HeldTensor>();
    const hooks: Hooks = {
      constant: (value, reader) => {
        const parameter = this.#parameters.get(value);
        if (!parameter) return this.#constant(value);
        let held = weights.get(value);
        if (!held) {
          held = { tensor: this.#weight(value, parameter, reader, mode), layout: parameter.layout };
          weights.set(value, held);
        }
        return held;
      },
      node: (node, inputs) => {
        if (node.op === "BatchNormalization") return [this.#normalize(node, inputs, mode, seen)];
        // A rectifier whose quantizer does its work.
        return this.#rectified(node, mode) === null ? null : [inputs[0] as HeldTensor];
      },
      after: ({ name, producer }, { tensor, layout }) => {
        const relu6 = producer !== undefined && this.#rectified(producer, mode) === 6;
        return { tensor: this.#quantize(name, tensor, mode, relu6), layout };
      },
    };
    const input = graph.inputs[0] as Value;
    return execute(graph, new Map([[input, heldImages(x, this.#layout)]]), hooks);
  }

  #constant(value: Value): HeldTensor | null {
    let held = this.#constants.get(value);
    if (held === undefined) {
      held = value.constant ? constantTensor(value.constant) : null;
      if (held) tf.keep(held.tensor);
      this.#constants.set(value, held);
    }
    return held;
  }

  /** A weight through its quantizer; a bias as the integers that it is deployed as. */
  #weight(value: Value, { variable }: Parameter, reader: Node, mode: Mode): tf.Tensor {
    const isBias = reader.inputs[2] === value && this.#plan.weights.has(reader.inputs[1]?.name ?? "");
    const unit = isBias && !this.#plan.foldsInto.has(reader) ? this.#unit(reader) : null;
    return unit ? roundBias(variable, unit) : this.#quantize(value.name, variable, mode);
  }

  #quantize(name: string, value: tf.Tensor, mode: Mode, relu6 = false): tf.Tensor {
    if (!this.#quantized) return value;
    const fixed = this.#set.fixed.get(name);
    if (fixed) return fixed.apply(value);
    const quantizer = this.#set.byValue.get(name);
    if (!quantizer) return value;
    if (mode === "initializing" && !quantizer.initialized) quantizer.initialize(value);
    return quantizer.apply(value, { relu6 });
  }

  /** Where a quantizer follows that clips at 0 itself: Infinity for a rectifier, 6 for one that ends there; else null. */
  #rectified(node: Node, mode: Mode): number | null {
    const [low, high] = clipRange(node) ?? [];
    if (!this.#quantized || mode === "initializing" || low !== 0 || high === undefined) return null;
    if (this.#set.byValue.get(outputOf(node).name)?.clipsAtZero !== true) return null;
    return high === 6 || high === Number.POSITIVE_INFINITY ? high : null;
  }

  /** What one integer of a weighted node's bias is worth; null where it is real. */
  #unit(node: Node): Float32Array | null {
    if (!this.#quantized) return null;
    const { sources } = this.#plan;
    const x = inputOf(node, 0);
    const source = (sources.get(x) ?? x).name;
    const input = this.#set.fixed.get(source) ?? this.#set.byValue.get(source);
    const weight = this.#set.byValue.get(inputOf(node, 1).name);
    return input && weight ? biasUnit(node, input, weight) : null;
  }

  #normalize(
    node: Node,
    inputs: readonly (HeldTensor | null)[],
    mode: Mode,
    seen: SeeStatistics | null,
  ): HeldTensor {
    const [x, gamma, beta, mean, variance] = inputs as NormInputs;
    const epsilon = floatAttribute(node, "epsilon", 1e-5);
    const moving = { mean: mean.tensor, variance: variance.tensor };
    // What has no statistics of its own is a factor.
    const byBatch = mode !== "predicting" && this.#statistics === "batch" && this.#moving.has(node);
    // The bias is rounded as it is deployed: with the statistics that the file will have.
    const offset = this.#roundedBeta(node, beta.tensor, gamma.tensor, moving, epsilon);
    const values = channelsLast(x);
    const tensor = normalize(values, gamma.tensor, offset, epsilon, byBatch ? null : moving, (statistics) =>
      seen?.(node, statistics),
    );
    return { tensor, layout: values.rank < 3 ? "as-is" : "channels-last" };
  }

  #roundedBeta(
    node: Node,
    beta: tf.Tensor,
    gamma: tf.Tensor,
    moving: Statistics,
    epsilon: number,
  ): tf.Tensor {
    const before = inputOf(node, 0).producer;
    const unit = before && this.#plan.foldsInto.get(before) === node ? this.#unit(before) : null;
    if (!before || !unit) return beta;
    const own = before.inputs[2] ? this.#parameters.get(before.inputs[2])?.variable : undefined;
    const norm = {
      gamma: gamma.dataSync<"float32">(),
      mean: moving.mean.dataSync<"float32">(),
      variance: moving.variance.dataSync<"float32">(),
      epsilon,
      own: own?.dataSync<"float32">() ?? null,
    };
    return roundBeta(beta, norm, unit);
  }
}

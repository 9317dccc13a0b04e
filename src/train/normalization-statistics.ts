// The statistics that batch normalization is deployed with: moving along with each batch, or estimated from several
// batches under weights that stand still. Moving ones lag behind, and at few bits weights that go to and fro between two
// integers spoil them (Nagel et al., ICML 2022).

import * as tf from "@tensorflow/tfjs";
import type { Graph, Node, Value } from "../graph/graph.js";
import type { Statistics } from "./ops/batch-normalization.js";
import type { Parameter } from "./parameters.js";

/** The share of the old statistics that one batch leaves. */
const MOMENTUM = 0.95;

/** The variables of one normalization's statistics. */
export interface StatisticVariables {
  readonly mean: tf.Variable;
  readonly variance: tf.Variable;
}

/** Is told the statistics of a normalization's input. */
export type SeeStatistics = (node: Node, statistics: Statistics) => void;

export function movingStatistics(
  { nodes }: Graph,
  parameters: ReadonlyMap<Value, Parameter>,
): Map<Node, StatisticVariables> {
  const found = new Map<Node, StatisticVariables>();
  for (const node of nodes) {
    if (node.op !== "BatchNormalization") continue;
    const [mean, variance] = node.inputs.slice(3).map((value) => value && parameters.get(value)?.variable);
    if (mean && variance) found.set(node, { mean, variance });
  }
  return found;
}

/** `moving = 0.95 moving + 0.05 now`; nothing for a normalization whose statistics are no variables. */
export function moveStatistics(moving: StatisticVariables | undefined, now: Statistics): void {
  if (!moving) return;
  move(moving.mean, now.mean);
  move(moving.variance, now.variance);
}

function move(variable: tf.Variable, to: tf.Tensor): void {
  const now = to.dataSync<"float32">();
  const moved = variable
    .dataSync<"float32">()
    .map((old, c) => MOMENTUM * old + (1 - MOMENTUM) * (now[c] as number));
  tf.tidy(() => variable.assign(tf.tensor(moved, variable.shape, "float32")));
}

/** Of batches of one size: `mean = avg(mean_i)`, `variance = avg(variance_i + (mean_i - mean)^2)`, biased. */
export class StatisticsEstimate {
  readonly #variables: ReadonlyMap<Node, StatisticVariables>;
  readonly #run: (x: tf.Tensor4D, seen: SeeStatistics) => void;
  readonly #seen = new Map<Node, { mean: Float32Array; variance: Float32Array }[]>();

  /** @param run the network by statistics of the batch, which tells them */
  constructor(
    variables: ReadonlyMap<Node, StatisticVariables>,
    run: (x: tf.Tensor4D, seen: SeeStatistics) => void,
  ) {
    this.#variables = variables;
    this.#run = run;
    for (const node of variables.keys()) this.#seen.set(node, []);
  }

  add(x: tf.Tensor4D): void {
    this.#run(x, (node, { mean, variance }) => {
      this.#seen.get(node)?.push({ mean: copyOf(mean), variance: copyOf(variance) });
    });
  }

  /** @returns gives the variables back what they hold now, bit for bit; to be called once */
  hold(): () => void {
    const held = [...this.#variables.values()]
      .flatMap(({ mean, variance }) => [mean, variance])
      .map((variable) => ({ variable, value: variable.clone() }));
    return () => {
      for (const { variable, value } of held) {
        variable.assign(value);
        value.dispose();
      }
    };
  }

  /** Gives the variables what was found; without a batch they stay. */
  apply(): void {
    for (const [node, { mean, variance }] of this.#variables) {
      const seen = this.#seen.get(node) ?? [];
      if (seen.length === 0) continue;
      const average = mean
        .dataSync<"float32">()
        .map((_, c) => averageOf(seen, (each) => each.mean[c] as number));
      const spread = average.map((m, c) =>
        averageOf(seen, (each) => (each.variance[c] as number) + ((each.mean[c] as number) - m) ** 2),
      );
      tf.tidy(() => {
        mean.assign(tf.tensor1d(average));
        variance.assign(tf.tensor1d(spread));
      });
    }
  }
}

function copyOf(tensor: tf.Tensor): Float32Array {
  return Float32Array.from(tensor.dataSync<"float32">());
}

function averageOf<T>(list: readonly T[], of: (each: T) => number): number {
  return list.reduce((sum, each) => sum + of(each), 0) / list.length;
}

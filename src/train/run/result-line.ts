// One line of results.jsonl, with the keys that DomainBed's own scripts read (Gulrajani and Lopez-Paz 2021), so that
// its tables can be made of runs of qdg.

import { basename } from "node:path";
import type { Evaluation } from "./evaluate-domains.js";
import type { TrainOptions } from "./train-options.js";

export interface ResultFacts {
  readonly options: TrainOptions;
  readonly out: string;
  readonly evaluation: Evaluation;
  /** Steps over the steps until the smallest source domain has been used once. */
  readonly epoch: number;
  /** Mean since the last evaluation; null before the first step. */
  readonly loss: number | null;
  /** Mean since the last evaluation; of this process. */
  readonly stepSeconds: number;
  /** By id of the weight, the share of it that oscillates. */
  readonly oscillating: Readonly<Record<string, number>>;
  /** Steps that the evaluated weights are the average of; absent where they are those of a step. */
  readonly averagedSteps?: number;
}

/**
 * `envI_in_acc` and `envI_out_acc` are accuracies on the training and the validation images of domain I in sorted
 * order; `test_envs` are the held-out ones, of which neither is trained on. `mem_gb` is the most memory that the
 * process has held, in GiB. Keys after it are qdg's own. Of a network for several bits accuracies are means over those that
 * are evaluated, and `by_bits` has each one's.
 */
export function resultLine(facts: ResultFacts): Record<string, unknown> {
  const { options, out, evaluation } = facts;
  const { domains, byBits } = evaluation;
  return {
    args: {
      algorithm: options.method,
      dataset: basename(options.data),
      data_dir: options.data,
      output_dir: out,
      test_envs: domains.flatMap(({ role }, i) => (role === "test" ? [i] : [])),
      holdout_fraction: options.holdoutFraction,
      steps: options.steps,
      checkpoint_freq: options.evalEvery,
      seed: options.seed,
      trial_seed: options.seed,
      hparams_seed: 0,
      task: "domain_generalization",
    },
    hparams: {
      lr: options.learningRate,
      batch_size: options.batchSize,
      weight_decay: options.weightDecay,
      data_augmentation: options.augmentation !== "none",
      ...Object.fromEntries(Object.entries(options).filter(([name]) => !NOT_HYPERPARAMETERS.has(name))),
    },
    step: evaluation.step,
    epoch: facts.epoch,
    loss: facts.loss,
    step_time: facts.stepSeconds,
    ...splitAccuracies(domains),
    mem_gb: process.resourceUsage().maxRSS / 2 ** 20,
    domains: domains.map(({ name }) => name),
    quantized: evaluation.quantized,
    test_acc: testAccuracies(domains),
    ...(byBits && {
      by_bits: Object.fromEntries(
        byBits.map((each) => [
          each.bits,
          { ...splitAccuracies(each.domains), test_acc: testAccuracies(each.domains) },
        ]),
      ),
    }),
    oscillating: facts.oscillating,
    ...(facts.averagedSteps === undefined ? {} : { averaged_steps: facts.averagedSteps }),
  };
}

function splitAccuracies(domains: Evaluation["domains"]): Record<string, number | null> {
  return Object.fromEntries(
    domains.flatMap(({ training, validation }, i) => [
      [`env${i}_in_acc`, training],
      [`env${i}_out_acc`, validation],
    ]),
  );
}

function testAccuracies(domains: Evaluation["domains"]): Record<string, number | null> {
  return Object.fromEntries(
    domains.filter(({ role }) => role === "test").map(({ name, all }) => [name, all]),
  );
}

/** What says where a run was made, or stands in `args`. */
const NOT_HYPERPARAMETERS: ReadonlySet<string> = new Set([
  "data",
  "testDomain",
  "method",
  "steps",
  "seed",
  "holdoutFraction",
  "learningRate",
  "batchSize",
  "weightDecay",
  "cache",
  "threads",
  "backend",
  "evalEvery",
  "checkpointEvery",
  "logEvery",
]);

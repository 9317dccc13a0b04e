// The network as the trainer gets it: a network in training, inside of what the method and the options add to it.

import { BitsNetwork } from "../bits-network.js";
import type { Guidance } from "../methods/method-options.js";
import type { TrainingNetwork } from "../network.js";
import type { ReadTeacher } from "../teacher.js";
import type { Learner } from "./learner-around.js";
import type { RunDomain } from "./prepare-run.js";
import { withMemory } from "./remembering-network.js";
import { withSteadyWeights } from "./steadied-network.js";
import { withTeacher } from "./taught-network.js";
import { isForSeveralBits, type TrainOptions } from "./train-options.js";

/**
 * @param network which it takes over; made with `byBits` for a method that trains for several
 * @param teacher of `--teacher`, where it is a file
 * @param sources the domains that train
 * @throws QdgError `usage` for options that ask for what the run does not have
 */
export function learnerOf(
  network: TrainingNetwork,
  options: TrainOptions,
  teacher: ReadTeacher | null,
  sources: readonly Pick<RunDomain, "split">[],
): Learner {
  const { bitSet, guidance } = options;
  const inner = isForSeveralBits(options) ? new BitsNetwork(network, bitSet, guidance as Guidance) : network;
  return withSteadyWeights(withMemory(withTeacher(inner, options, teacher), options, sources), options);
}

// What bits are chosen for, of weights and of activations, and which other options speak against it.

import { QdgError } from "../../base/error.js";
import { MAX_BITS, MIN_BITS } from "../../quant/spec.js";
import type { CompleteExportOptions } from "../options.js";

/** What bits of weights are chosen for: at most one of these is given. */
export type BudgetGoal =
  | { readonly option: "--budget"; readonly bytes: number }
  | { readonly option: "--average-bits"; readonly bits: number }
  | { readonly option: "--min-agreement"; readonly percent: number };

/** What chooses the bits of activations; alone, or beside a goal of weights but an agreement. */
export const AVERAGE_ACTIVATION_BITS = "--average-activation-bits";

/** null where bits of weights are as asked. */
export function budgetGoal({
  budget,
  averageBits,
  minAgreement,
}: Pick<CompleteExportOptions, "budget" | "averageBits" | "minAgreement">): BudgetGoal | null {
  if (budget !== undefined) return { option: "--budget", bytes: budget };
  if (averageBits !== undefined) return { option: "--average-bits", bits: averageBits };
  if (minAgreement !== undefined) return { option: "--min-agreement", percent: minAgreement };
  return null;
}

/** @throws QdgError `usage` for a goal out of range, and for options that leave nothing to choose or to choose by */
export function checkBudget(options: CompleteExportOptions): void {
  const { budget, averageBits, minAgreement, averageActivationBits, searchTime } = options;
  const { bits, weightBits, weights } = options;
  const goal = budgetGoal(options);
  checkAverageActivationBits(options);
  if (searchTime !== undefined) {
    if (!(searchTime >= 0)) throw usage("--search-time", `got ${searchTime}, expected seconds >= 0`);
    const choosesWeights = goal !== null && goal.option !== "--min-agreement";
    if (!choosesWeights && averageActivationBits === undefined) {
      throw usage(
        "--search-time",
        "betters the bits of --budget, --average-bits or --average-activation-bits, and none of them is given; leave it out",
      );
    }
  }
  if (goal === null) return;
  const { option } = goal;
  const given = { "--budget": budget, "--average-bits": averageBits, "--min-agreement": minAgreement };
  const second = Object.entries(given).filter(([, value]) => value !== undefined)[1];
  if (second) throw usage(second[0], `got ${second[1]}, and ${option} too; give one of the two`);
  if (budget !== undefined && !(Number.isFinite(budget) && budget > 0)) {
    throw usage(option, `got ${budget}, expected a size in bytes above 0`);
  }
  if (averageBits !== undefined && !(averageBits >= MIN_BITS && averageBits <= MAX_BITS)) {
    throw usage(option, `got ${averageBits}, expected a number from ${MIN_BITS} to ${MAX_BITS}`);
  }
  if (minAgreement !== undefined && !(minAgreement > 0 && minAgreement <= 100)) {
    throw usage(option, `got ${minAgreement}, expected a percentage above 0, up to 100`);
  }
  const chosen = bits ?? weightBits;
  if (chosen !== undefined) {
    throw usage(
      bits === undefined ? "--weight-bits" : "--bits",
      `got ${chosen}, and ${option}, which chooses the bits of weights; give one of the two (--layer-bits and --first-last-bits keep single layers as they say)`,
    );
  }
  if (options.float)
    throw usage(option, "got --float too, which quantizes nothing; leave one of the two out");
  if (weights !== "packed") {
    throw usage(
      option,
      `got --weights ${weights}, which stores layers of different bits in the same size; use --weights packed`,
    );
  }
  if (minAgreement !== undefined && options.heldOutCount < 1) {
    throw usage(
      option,
      "got --held-out 0, expected samples to measure the agreement on; 200 tell half a percent",
    );
  }
}

function checkAverageActivationBits(options: CompleteExportOptions): void {
  const { averageActivationBits: asked, activationBits, minAgreement, float } = options;
  if (asked === undefined) return;
  if (!(asked >= MIN_BITS && asked <= MAX_BITS)) {
    throw usage(AVERAGE_ACTIVATION_BITS, `got ${asked}, expected a number from ${MIN_BITS} to ${MAX_BITS}`);
  }
  if (activationBits !== undefined) {
    throw usage(
      "--activation-bits",
      `got ${activationBits}, and ${AVERAGE_ACTIVATION_BITS}, which chooses the bits of activations; give one of the two (--layer-bits and --first-last-bits keep single layers as they say)`,
    );
  }
  if (minAgreement !== undefined) {
    throw usage(
      AVERAGE_ACTIVATION_BITS,
      "got --min-agreement too, which tries sizes of the weights with activations as they are; use --budget or --average-bits, or --activation-bits",
    );
  }
  if (float) {
    throw usage(
      AVERAGE_ACTIVATION_BITS,
      "got --float too, which quantizes nothing; leave one of the two out",
    );
  }
}

/** @throws QdgError `usage` where scales were learned, and where there are no samples to measure layers on */
export function checkBudgetOfModel(options: CompleteExportOptions, isLearned: boolean): void {
  const goal = budgetGoal(options);
  const option =
    goal?.option ?? (options.averageActivationBits === undefined ? null : AVERAGE_ACTIVATION_BITS);
  if (option === null) return;
  if (isLearned) {
    throw usage(
      option,
      "the model's bits and scales were learned and its integers are used as they are; leave it out, or train at other bits",
    );
  }
  if (options.calibration.length > 0) return;
  throw usage(
    option,
    `got no samples to measure layers on; give --calibration, or ${goal ? "--bits" : "--activation-bits"} for the same bits in all inner layers`,
  );
}

function usage(where: string, message: string): QdgError {
  return new QdgError("usage", where, message);
}

// Which of two files is written: that with less error on samples that neither is fitted to. Chooses no bits.

import type { ExportSteps, Made } from "../export-steps.js";
import type { Samples, SampleSplit } from "../samples.js";
import { judgeFile } from "./judge-file.js";

/** One of so many samples is compared on where none are held out. */
const FOLDS = 4;

/** What {@link errorsOf} compares on. */
export function comparedOn({ heldOut }: SampleSplit): "held-out" | "calibration" {
  return heldOut.count > 0 ? "held-out" : "calibration";
}

/**
 * Of two files on samples that neither is fitted to: the held-out ones; without any, every fourth of calibration, for which
 * both are fitted anew to the others. On the samples of the fit that fits closer has less error, and the other may lose less.
 */
export async function errorsOf(
  mixed: Made,
  uniform: Made | null,
  { calibration, heldOut }: SampleSplit,
  steps: ExportSteps,
): Promise<readonly [mixed: number, uniform: number | null]> {
  const few = heldOut.count === 0 && calibration.count < FOLDS;
  const [compared, rest] =
    heldOut.count > 0 || few
      ? [few ? calibration : heldOut, null]
      : [every(calibration, (i) => i % FOLDS === 0), every(calibration, (i) => i % FOLDS !== 0)];
  const error = async (made: Made): Promise<number> => {
    const { files } = rest ? await steps.fittedTo(rest).make(made.recipe) : made;
    return (await judgeFile(steps.float, files[0].bytes, compared)).error;
  };
  return [await error(mixed), uniform && (await error(uniform))];
}

function every(samples: Samples, isTaken: (index: number) => boolean): Samples {
  return {
    count: Array.from({ length: samples.count }, (_, i) => i).filter(isTaken).length,
    async *read() {
      let index = 0;
      for await (const feeds of samples.read()) if (isTaken(index++)) yield feeds;
    },
  };
}

/** Bits that were chosen one by one unless the same bits everywhere have less error. @param uniformError null where none fit */
export function better(mixedError: number, uniformError: number | null): "mixed" | "uniform" {
  return uniformError !== null && uniformError < mixedError ? "uniform" : "mixed";
}

// The smallest file that agrees with the float network as often as asked, on held-out samples: few sizes are tried, each
// by the steps of an export.

import { QdgError } from "../../base/error.js";
import type { Progress } from "../../base/progress.js";
import type { Graph } from "../../graph/graph.js";
import type { Made } from "../export-steps.js";
import type { Samples } from "../samples.js";
import { allocate, bytesOf, type BitOption, type LayerOptions } from "./allocate.js";
import type { Choices } from "./choices.js";
import { judgeFile } from "./judge-file.js";

/** Sizes that are told apart, between 2 bits and 8 bits everywhere: a quarter bit. */
const SIZES = 24;

/**
 * Halves the range of sizes, as if the agreement rose with each. The largest is tried only where no smaller one agrees.
 *
 * @throws QdgError `usage` where 8 bits do not reach it
 */
export async function smallestThatAgrees(
  choices: Choices,
  layers: readonly LayerOptions[],
  percent: number,
  heldOut: Samples,
  progress: Progress,
): Promise<Made> {
  const { steps } = choices;
  const [least, most] = [
    layers.map(([first]) => first),
    layers.map((options) => options.at(-1) as BitOption),
  ];
  let best = 0;
  let tried = 0;
  const attempt = async (size: number): Promise<Made | null> => {
    const room = bytesOf(least) + (size / SIZES) * (bytesOf(most) - bytesOf(least));
    const made = await steps.make(choices.recipeOf(allocate(layers, room) ?? least));
    const { agreement } = await judgeFile(steps.float, made.files[0].bytes, heldOut);
    best = Math.max(best, 100 * agreement);
    progress.report("trying sizes", ++tried, Math.ceil(Math.log2(SIZES)) + 1);
    return 100 * agreement >= percent ? made : null;
  };
  let [low, high] = [-1, SIZES];
  let found: Made | null = null;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const made = await attempt(middle);
    if (made) [high, found] = [middle, made];
    else low = middle;
  }
  found ??= await attempt(SIZES);
  if (found) return found;
  throw new QdgError(
    "usage",
    "--min-agreement",
    `got ${percent} %, but the best of ${tried} sizes up to 8 bits everywhere reaches ${best.toFixed(1)} % on ${heldOut.count} held-out samples; ask for less, or calibrate on more samples (--calibration-count)`,
  );
}

/** @throws QdgError `usage` where nothing is held out, and for what gives no classes */
export function checkClasses({ outputs: [output] }: Graph, heldOut: Samples): void {
  const shape = output?.shape ?? [];
  if (shape.length !== 2) {
    throw new QdgError(
      "usage",
      "--min-agreement",
      `got a network whose first output is [${shape.join(", ")}], expected classes [N, classes] to agree on; use --budget or --average-bits`,
    );
  }
  if (heldOut.count === 0) {
    throw new QdgError(
      "usage",
      "--min-agreement",
      "got no held-out samples to measure it on; give --calibration more samples, or use --budget",
    );
  }
}

// What would help a network that lost too much, and by how much where layers were measured.

import type { Recipe } from "../../graph/recipe.js";
import type { ChosenActivationBits } from "./average-activations.js";
import type { ChosenBits } from "./under-budget.js";

/** How much larger the file is that advice speaks of. */
export const LARGER = 1.25;

/**
 * @param recipe that was applied to a network without learned scales
 * @param chosen null where no budget was given
 * @param activations null where no mean was given
 */
export function adviceOf(
  recipe: Recipe,
  chosen: ChosenBits | null,
  activations: ChosenActivationBits | null,
): string {
  const inner = recipe.rules.filter(({ match }) => "role" in match && match.role === "inner");
  const activationBits = inner.at(-1)?.activationBits ?? 8;
  const weightBits = inner.at(-1)?.weightBits;
  const larger = chosen?.larger;
  return `What would help: ${[
    ...(activationBits < 8 ? [`--activation-bits 8 for ${activationBits}`] : []),
    ...(activations && activations.asked < 8
      ? [`--average-activation-bits ${Math.floor(activations.asked) + 1} for ${activations.asked}`]
      : []),
    ...(larger
      ? [
          `--budget ${Math.ceil(larger.sizeBytes / 1e3)}kB: ${larger.gainDb.toFixed(1)} dB less lost in the weights`,
        ]
      : []),
    ...(!chosen && weightBits !== undefined && weightBits < 8
      ? [
          `--average-bits ${weightBits}, which gives each layer the bits it needs in the same size (needs --calibration)`,
        ]
      : []),
    "more bits for those layers (--layer-bits)",
    "training the model at these bits",
  ].join("; ")}.`;
}

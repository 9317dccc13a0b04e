// Sharpness-aware minimization: the gradient at the worst point near theta, as the linear loss has it.

import type { GradientRule } from "./gradient-method.js";

/** `g = grad L(theta + rho * grad L(theta) / ||grad L(theta)||)` (Foret et al., 2021, equations 2 and 3). */
export const sam: GradientRule = {
  passes: 2,
  gradient(passes, objective, batch, step, { rho, perturbScales }) {
    const coefficient = sharpnessCoefficient(rho, 0);
    const loss = passes.atTheta(objective, batch, step);
    const smoothLoss = passes.atPerturbed(objective, batch, step, coefficient, perturbScales);
    return { report: { loss, smoothLoss }, gradient: passes.smoothness };
  },
};

/** `c = rho / (||g|| + 1e-12) - alpha` (SAGM's code; SAM with alpha 0). */
export function sharpnessCoefficient(rho: number, alpha: number): (norm: number) => number {
  return (norm) => rho / (norm + 1e-12) - alpha;
}

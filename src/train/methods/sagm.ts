// Sharpness-aware gradient matching: the mean of the gradient at theta and the one at a perturbed point that is drawn
// back down the gradient, so that both agree at the minimum. lsq-sagm and gaqat build on it.

import type { Objective } from "../objective.js";
import type { GradientRule } from "./gradient-method.js";
import type { StepReport } from "./method.js";
import type { MethodSettings } from "./method-options.js";
import type { GradientPasses } from "./perturb.js";
import { sharpnessCoefficient } from "./sam.js";

/**
 * `g = grad L(theta)`, `theta' = theta + (rho / (||g|| + 1e-12) - alpha) * g`, step with
 * `(g + grad L(theta')) / 2` (Wang et al., CVPR 2023, as their code has it).
 */
export const sagm: GradientRule = {
  passes: 2,
  gradient(passes, objective, batch, step, settings) {
    const report = sagmPasses(passes, objective, batch, step, settings);
    return { report, gradient: meanInto(passes.task, passes.smoothness) };
  },
};

/** Both gradients of SAGM, into `passes`. */
export function sagmPasses<Batch>(
  passes: GradientPasses,
  objective: Objective<Batch>,
  batch: Batch,
  step: number,
  { rho, alpha, perturbScales }: MethodSettings,
): StepReport {
  const coefficient = sharpnessCoefficient(rho, alpha);
  const loss = passes.atTheta(objective, batch, step);
  const smoothLoss = passes.atPerturbed(objective, batch, step, coefficient, perturbScales);
  return { loss, smoothLoss };
}

/** `task = (task + smoothness) / 2`, in place. */
export function meanInto(task: Float32Array, smoothness: Float32Array): Float32Array {
  for (let i = 0; i < task.length; i++) {
    task[i] = ((task[i] as number) + (smoothness[i] as number)) / 2;
  }
  return task;
}

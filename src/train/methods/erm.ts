// Empirical risk minimization: the plain gradient of the mean loss over all source domains. Knows no quantizer.

import type { GradientRule } from "./gradient-method.js";

/** `g = grad L(theta)` (Vapnik, 1998; DomainBed's ERM). */
export const erm: GradientRule = {
  passes: 1,
  gradient(passes, objective, batch, step) {
    const loss = passes.atTheta(objective, batch, step);
    return { report: { loss }, gradient: passes.task };
  },
};

// Gradient l1 regularization: a network in full precision whose loss hardly moves when its weights are rounded, to any
// number of bits. Knows no quantizer: rounding comes after training.

import { erm } from "./erm.js";
import type { GradientRule } from "./gradient-method.js";

/**
 * Euclidean length of the step that the difference is taken over, about half a step of 8-bit weights each. Rectifiers bend the
 * loss in many places: over a shorter step a difference sees a few of the bends by chance, over a longer one the Hessian is
 * no longer one. docs/training.md has what was measured.
 */
const REACH = 0.3;

/**
 * Down `L + lambda ||g||_1`, `g = grad_w L` by the weights alone (Alizadeh et al., ICLR 2020, equation 9, its part of
 * weights): rounding moves each weight by half a step s at most, so that the loss rises by up to `s/2 ||g||_1` to first
 * order, whatever the bits. The gradient is `g + lambda H sign(g)`, H the Hessian, by all that is trained.
 *
 * `H sign(g) = (grad L(theta + h sign(g)) - g) / h`, with `h = 0.3 / sqrt(n)`, n weights with a gradient: one pass more, no
 * gradient of a gradient. Exact on a quadratic but for what float32 rounds in g, over h. Of a network with rectifiers it is an
 * estimate: of a resnet8 and 64 images the differences along sign(g) and against it have a cosine of 0.6.
 *
 * Steps before `l1Start` are erm's, with one pass.
 */
export const gradientL1: GradientRule = {
  passes: 2,
  gradient(passes, objective, batch, step, settings) {
    if (step < settings.l1Start) return erm.gradient(passes, objective, batch, step, settings);
    const loss = passes.atTheta(objective, batch, step);
    const near = passes.atSigns(objective, batch, step, (n) => REACH / Math.sqrt(Math.max(n, 1)));
    const { task, smoothness } = passes;
    const factor = settings.l1Weight / near.length;
    for (let i = 0; i < task.length; i++) {
      const g = task[i] as number;
      task[i] = g + factor * ((smoothness[i] as number) - g);
    }
    return { report: { loss, smoothLoss: near.loss }, gradient: task };
  },
};

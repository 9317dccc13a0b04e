// Gradient l1 regularization: a network in full precision whose loss hardly moves when its weights are rounded, to any
// number of bits. Knows no quantizer: rounding comes after training.

import { erm } from "./erm.js";
import type { GradientRule } from "./gradient-method.js";

/**
 * Euclidean length of the step that the difference is taken over: far above what float32 rounds in a gradient, and short
 * beside a layer of weights, whose length is some units.
 */
const REACH = 0.01;

/**
 * Down `L + lambda ||g||_1`, `g = grad_w L` by the weights alone (Alizadeh et al., ICLR 2020, equation 9, its part of
 * weights): rounding moves each weight by half a step s at most, so that the loss rises by up to `s/2 ||g||_1` to first
 * order, whatever the bits. The gradient is `g + lambda H sign(g)`, H the Hessian, by all that is trained.
 *
 * `H sign(g) = (grad L(theta + h sign(g)) - g) / h`, with `h = 0.01 / sqrt(n)`, n weights with a gradient: one pass more, no
 * gradient of a gradient. To first order its error is half of h times the third derivative along sign(g), and what float32
 * rounds in g, over h; exact on a quadratic but for rounding. Rectifiers make H a sum of steps, which a difference sees
 * where the pieces meet and a derivative does not.
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

// Learned step size quantization: the plain gradient, on a network that is quantized. All that is LSQ's own is the
// gradient that the quantizers give their scales; the step is erm's, and must stay so to be its baseline.

import { erm } from "./erm.js";
import type { GradientRule } from "./gradient-method.js";

/** `g = grad L(theta)`, theta with the scales (Esser et al., 2020). */
export const lsq: GradientRule = { ...erm, name: "lsq" };

// SAGM on a network with learned scales, which it perturbs and steps as any weight: what gaqat is measured against.
// Freezes nothing.

import type { GradientRule } from "./gradient-method.js";
import { sagm } from "./sagm.js";

/** sagm's step, theta with the scales. */
export const lsqSagm: GradientRule = { ...sagm, name: "lsq-sagm" };

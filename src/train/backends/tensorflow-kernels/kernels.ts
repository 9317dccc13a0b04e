// The kernels that training puts in place of those of tfjs-node. One file a kernel or a family; a new one is one
// line here.

import type { Kernel } from "../kernel.js";
import { explicitPadding } from "./explicit-padding.js";
import { pointwiseFilterGradient } from "./pointwise-filter-gradient.js";
import { step } from "./step.js";

export const TENSORFLOW_KERNELS: readonly Kernel<unknown>[] = [
  pointwiseFilterGradient,
  // After those of single kernels: it pads for them.
  ...explicitPadding,
  step,
];

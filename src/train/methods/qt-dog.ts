// Quantization-aware training for domain generalization: full precision first, then quantized weights, whose noise
// seeks flat minima. Does not switch the network over: whoever runs it asks methods.ts at each step.

import { erm } from "./erm.js";
import type { GradientRule } from "./gradient-method.js";
import type { MethodSettings } from "./method-options.js";

/**
 * `g = grad L(theta)`, erm's (Javed et al., ICML 2025). Scales have gradients from `quantizeFrom` on, and their moments
 * begin there (adam.ts); the moments of the weights go on.
 */
export const qtDog: GradientRule = { ...erm, name: "qt-dog" };

/** Whether the weights are quantized at `step`. */
export function quantizedAt(step: number, settings: MethodSettings): boolean {
  return step >= settings.quantizeFrom;
}

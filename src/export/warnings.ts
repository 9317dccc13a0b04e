// What an export has to say although it succeeded.

import type { Lowered } from "../lower/lower.js";
import type { FormName, ScalesMode } from "../model/onnx-metadata.js";
import { type Cost, costWarning } from "./cost.js";

/** A quantized file, as far as warnings look at it. */
export interface WrittenForm {
  readonly form: FormName;
  readonly lowered: Pick<Lowered, "adjusted" | "wideSums" | "realBeforeQuantizer">;
}

export function warningsOf(scales: ScalesMode, cost: Cost | null, files: readonly WrittenForm[]): string[] {
  const warnings: string[] = [];
  if (scales === "weights-only") {
    warnings.push(
      "no calibration data: only the weights are quantized, activations stay float32; give --calibration for an integer network",
    );
  }
  const warning = cost && costWarning(cost);
  if (warning) warnings.push(warning);
  // The same in all forms.
  for (const [layer, channels] of files[0]?.lowered.adjusted ?? []) {
    warnings.push(`${layer}: ${channels} dead channel(s) hold their bias at a wider scale`);
  }
  for (const { form, lowered } of files) {
    for (const [layer, bound] of lowered.wideSums) warnings.push(`${layer}: ${wideSum(bound, form)}`);
  }
  const webgpu = files.find(({ form }) => form === "webgpu");
  const real = [...new Set(webgpu?.lowered.realBeforeQuantizer)];
  if (webgpu && scales !== "weights-only" && real.length > 0) {
    warnings.push(
      `${real.join(", ")}: computed in real numbers before a quantizer; next to a tie, integers of the webgpu file may differ by one step from those of other targets`,
    );
  }
  return warnings;
}

function wideSum(bound: number, form: FormName): string {
  const size = Number.isFinite(bound)
    ? `its sums can reach ${bound}, ${(bound / 2 ** 24).toPrecision(3)} times 2^24`
    : "its sums have a length that only run time knows";
  return `${size}, and the ${form} form adds in float32, exact below 2^24: its integers may differ between targets. Give the layer fewer bits (--layer-bits)`;
}

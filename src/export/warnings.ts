// What an export has to say although it succeeded.

import type { Lowered } from "../lower/lower.js";
import type { FormName, ScalesMode } from "../model/onnx-metadata.js";
import { type Cost, costWarning } from "./cost.js";
import type { FileVerification } from "./verify-file.js";

/** A quantized file, as far as warnings look at it. */
export interface WrittenForm {
  readonly form: FormName;
  readonly lowered: Pick<Lowered, "adjusted" | "wideSums" | "realBeforeQuantizer" | "unsignedWeights">;
}

/** Of `--calibration synthetic`. */
export function drawnWarning(scales: ScalesMode): string {
  const calibrated =
    scales === "learned"
      ? ""
      : "calibrated on drawn images, which hold nothing that the network was trained to see: real ones of the kind that it will meet are better, and 64 are enough (--calibration FOLDER). ";
  return `${calibrated}The cost is measured on drawn images; only real ones tell how many predictions stay (qdg parity --data FOLDER --reference MODEL)`;
}

/** Where all samples are one and the same, though the cost that is measured on it looks well. */
export const ONE_SAMPLE_WARNING =
  "calibrated on one sample, or on copies of it: ranges and weights are fitted to that alone; give --calibration different ones of the kind that the network will meet, 64 are enough";

/** Layers that a line names before it counts. */
const NAMED_LAYERS = 3;
/** Of those that are slower: each is one to train again. */
const NAMED_UNSIGNED = 12;

/** @param before what the steps before have to say: bits that were asked for in vain, layers that were not fitted */
export function warningsOf(
  scales: ScalesMode,
  before: readonly string[],
  cost: Cost | null,
  files: readonly WrittenForm[],
  verification: FileVerification,
  advice?: string,
): string[] {
  const warnings: string[] = [];
  if (scales === "weights-only") {
    warnings.push(
      "no calibration data: only the weights are quantized, activations stay float32; give --calibration for an integer network",
    );
  }
  warnings.push(...before);
  const warning = cost && costWarning(cost, advice);
  if (warning) warnings.push(warning);
  // The same in all forms.
  const dead = deadChannels([...(files[0]?.lowered.adjusted ?? [])]);
  if (dead) warnings.push(dead);
  const unsigned = [...new Set(files.flatMap(({ lowered }) => lowered.unsignedWeights))];
  if (unsigned.length > 0) {
    warnings.push(
      `${named(unsigned, NAMED_UNSIGNED)}: 8-bit weights are stored unsigned, which is exact, and on a CPU several times slower than signed: some two of them could leave 16 bits where x86-64 without VNNI adds them. Weights that are not learned, or of 7 bits or fewer, have no such pair`,
    );
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
  if (!("skipped" in verification) && verification.ties > 0) {
    const { ties, tieLayers, integers } = verification;
    warnings.push(
      `${named(tieLayers, NAMED_LAYERS)}: ${ties} of ${integers} integers are one step from the reference's on cpu; what is computed in real numbers before a quantizer may differ by one step between targets, next to a tie`,
    );
  }
  return warnings;
}

/** One line for all layers; null without dead channels. */
function deadChannels(byLayer: readonly (readonly [layer: string, channels: number])[]): string | null {
  if (byLayer.length === 0) return null;
  const total = byLayer.reduce((sum, [, channels]) => sum + channels, 0);
  const each = byLayer.map(([layer, channels]) => `${layer} (${channels})`);
  const layers = byLayer.length === 1 ? "1 layer" : `${byLayer.length} layers`;
  const channels = total === 1 ? "1 dead channel holds its" : `${total} dead channels hold their`;
  return `${channels} bias at a wider scale, in ${layers}: ${named(each, NAMED_LAYERS)}`;
}

function named(layers: readonly string[], most: number): string {
  const more = layers.length > most ? ` and ${layers.length - most} more` : "";
  return layers.slice(0, most).join(", ") + more;
}

function wideSum(bound: number, form: FormName): string {
  const size = Number.isFinite(bound)
    ? `its sums can reach ${bound}, ${(bound / 2 ** 24).toPrecision(3)} times 2^24`
    : "its sums have a length that only run time knows";
  return `${size}, and the ${form} form adds in float32, exact below 2^24: its integers may differ between targets. Give the layer fewer bits (--layer-bits)`;
}

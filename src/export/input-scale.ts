// The scale of a network's image input, known from the preprocessing without looking at an image.

import type { Graph } from "../graph/graph.js";
import type { Placement } from "../graph/place-quantizers.js";
import type { Preprocessing } from "../image/preprocessing.js";
import { type QuantParams, qmax, qmin } from "../quant/spec.js";

/**
 * Covers what pixels 0..255 become: the least and the greatest over the channels, and 0. With steps = qmax - qmin,
 * `zeroPoint = round(steps * -low / (high - low))` and the least scale that holds both ends around it, so that
 * for [0, 1] a pixel is an integer, and for [-1, 1] no pixel falls on the tie between two.
 *
 * @returns null when the placement is not just the graph's input, or the preprocessing is not known
 */
export function inputQuantization(
  placement: Placement,
  graph: Graph,
  preprocessing: Preprocessing | null,
  powerOfTwo: boolean,
): QuantParams | null {
  const [value] = placement.values;
  if (!preprocessing || placement.values.length !== 1 || !value || !graph.inputs.includes(value)) return null;
  const { range, mean, std } = preprocessing;
  const ends = mean.flatMap((m, c) => range.map((end) => (end - m) / (std[c] ?? 1)));
  const low = Math.min(0, ...ends);
  const high = Math.max(0, ...ends);
  const { spec } = placement;
  if (spec.symmetric && low < 0 && !spec.signed) return null;
  const steps = qmax(spec) - qmin(spec);
  const below = spec.symmetric ? -qmin(spec) : Math.round((steps * -low) / (high - low));
  const above = steps - below;
  const ideal = Math.max(below > 0 ? -low / below : 0, above > 0 ? high / above : 0);
  const scale = powerOfTwo ? 2 ** Math.ceil(Math.log2(ideal)) : ideal;
  return { scale: Float32Array.of(scale), zeroPoint: Int32Array.of(qmin(spec) + below) };
}

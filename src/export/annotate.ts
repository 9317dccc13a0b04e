// Finds the parameters of every placed quantizer, learned or calibrated, and writes them on the values.

import { QdgError } from "../base/error.js";
import { expectDType } from "../base/tensor.js";
import type { Value } from "../graph/graph.js";
import type { Placement } from "../graph/place-quantizers.js";
import { materialize } from "../lower/materialize.js";
import { type LearnedQuantizers, learnedQuantization } from "../quant/learned.js";
import type { Quantization, QuantParams } from "../quant/spec.js";
import { leastSquaresScale } from "../quant/weight-scale.js";

/**
 * Quantizes weights: learned scales where training left them, otherwise by least squared error.
 *
 * @param powerOfTwo restrict found scales to powers of two
 */
export function annotateWeights(
  placements: readonly Placement[],
  learned: LearnedQuantizers | null,
  powerOfTwo: boolean,
): void {
  for (const placement of placements) {
    if (placement.role !== "weight") continue;
    const quantization = learnedFor(placement, learned);
    if (quantization) {
      for (const value of placement.values) value.quantization = quantization;
      continue;
    }
    // A folded factor would take the deployed scale off the powers of two: it goes into the weights instead.
    if (powerOfTwo) placement.values.forEach(multiplyIn);
    // Copies of a shared weight may have become different weights.
    const found = powerOfTwo ? placement.values : placement.values.slice(0, 1);
    found.forEach((value) => (value.quantization = foundForWeight(value, placement, powerOfTwo)));
    for (const value of placement.values) value.quantization ??= found[0]?.quantization as Quantization;
  }
}

function multiplyIn(value: Value): void {
  value.constant = materialize(value);
  delete value.channelFactor;
}

function foundForWeight(
  value: Value,
  { spec, layer }: Pick<Placement, "spec" | "layer">,
  powerOfTwo: boolean,
): Quantization {
  if (!value.constant) throw new QdgError("internal", layer, "has no constant weight");
  const { data, shape } = expectDType(value.constant, "float32", layer);
  return { spec, params: leastSquaresScale(data, shape, spec, { powerOfTwo, where: layer }) };
}

/**
 * The learned quantization of a placement, null when training left none.
 *
 * @throws QdgError `invalid-quantization` when values that must share a quantizer were given different ones
 */
export function learnedFor(placement: Placement, learned: LearnedQuantizers | null): Quantization | null {
  if (!learned) return null;
  const { spec, values, layer } = placement;
  const shape = values[0]?.constant?.shape ?? [];
  const channels = spec.axis === null ? 1 : (shape[spec.axis] as number);
  let found: { readonly id: string; readonly quantization: Quantization } | null = null;
  for (const id of placement.ids) {
    const quantizer = learned.quantizers.get(id);
    if (!quantizer) continue;
    const quantization = learnedQuantization(quantizer, spec.axis, channels, id);
    if (found && !sameQuantization(found.quantization, quantization)) {
      throw new QdgError(
        "invalid-quantization",
        layer,
        `${found.id} and ${id} must share one quantizer (${sharers(placement)}), but their learned bits or scales differ; train them with one`,
      );
    }
    found ??= { id, quantization };
  }
  return found?.quantization ?? null;
}

/** Refuses learned quantizers that no placement takes, and learned bits other than those asked for. */
export function checkLearned(placements: readonly Placement[], learned: LearnedQuantizers): void {
  const byId = new Map(
    placements.flatMap((placement) => placement.ids.map((id) => [id, placement] as const)),
  );
  for (const [name, { bits }] of learned.quantizers) {
    const placement = byId.get(name);
    if (!placement) {
      throw new QdgError(
        "invalid-quantization",
        name,
        "has learned scales, but no quantizer stands there; the model was changed after training, or the name is wrong",
      );
    }
    const { asked, spec } = placement;
    if (asked && spec.bits !== bits) {
      throw new QdgError(
        "invalid-quantization",
        name,
        `got ${spec.bits} bits asked for, but its scales were learned at ${bits}; leave the options for bits out, or train at ${spec.bits}`,
      );
    }
  }
}

/** Writes the parameters of an activation's quantizer on all its values. */
export function annotateActivation(placement: Placement, quantization: Quantization): void {
  for (const value of placement.values) value.quantization = quantization;
}

function sameQuantization(a: Quantization, b: Quantization): boolean {
  return a.spec.bits === b.spec.bits && a.spec.signed === b.spec.signed && sameParams(a.params, b.params);
}

function sameParams(a: QuantParams, b: QuantParams): boolean {
  return a.scale.join() === b.scale.join() && a.zeroPoint.join() === b.zeroPoint.join();
}

function sharers(placement: Placement): string {
  return placement.ids.length > 1 ? placement.ids.join(", ") : placement.layer;
}

// The quantizers of a network in training, and which value or weight each of them is for. A network for several bits has
// one set for each. Where they stand is decided by placeQuantizers, never here.

import { inputQuantization } from "../../export/input-scale.js";
import type { Graph, Value } from "../../graph/graph.js";
import type { Placement } from "../../graph/place-quantizers.js";
import type { Preprocessing } from "../../image/preprocessing.js";
import type { LearnedQuantizer } from "../../quant/learned.js";
import { channelShape, type Parameter } from "../parameters.js";
import type { PlacedQuantizers } from "../training-graph.js";
import { Quantizer, type ScaleParameterization } from "./quantizer.js";

export interface QuantizerSetOptions {
  /** One scale an output channel of a weight, or one for all of it. */
  readonly granularity: "channel" | "tensor";
  readonly weightsOnly?: boolean;
  readonly scaleParameterization: ScaleParameterization;
  /** Fixes the input's scale. */
  readonly preprocessing: Preprocessing | null;
}

export class QuantizerSet {
  /** Those that learn. */
  readonly quantizers: readonly Quantizer[];
  /** By the name of the value or the constant. */
  readonly byValue: ReadonlyMap<string, Quantizer>;
  /** Quantized once and for all: the input, whose pixels are integers already. */
  readonly fixed: ReadonlyMap<string, Quantizer>;
  /** Of a network for several: those of its inner layers; null of any other. */
  readonly bits: number | null;

  /** @param deployed the graph as it is exported */
  constructor(
    { weights, activations }: PlacedQuantizers,
    deployed: Graph,
    parameters: ReadonlyMap<Value, Parameter>,
    options: QuantizerSetOptions,
    bits: number | null = null,
  ) {
    this.bits = bits;
    const made = new Map<Placement, Quantizer>();
    const byValue = new Map<string, Quantizer>();
    const fixed = new Map<string, Quantizer>();
    const create = (
      { ids, role, layer, spec }: Placement,
      shape: readonly number[],
      parameterization = options.scaleParameterization,
    ): Quantizer =>
      new Quantizer({ id: ids[0] as string, role, layer, spec, shape, parameterization, setBits: bits });
    for (const [value, parameter] of parameters) {
      const placement = weights.get(value.name);
      if (!placement) continue;
      const channels = placement.spec.axis !== null && options.granularity === "channel";
      const shape = channels ? channelShape(parameter.reader, parameter.variable.shape) : [];
      const quantizer = create(placement, shape);
      made.set(placement, quantizer);
      byValue.set(value.name, quantizer);
    }
    for (const [name, placement] of options.weightsOnly ? [] : activations) {
      const params = inputQuantization(placement, deployed, options.preprocessing, false);
      if (params) {
        // The scale of the input follows from the preprocessing.
        const input = create(placement, [], "linear");
        input.set(params);
        fixed.set(name, input);
        continue;
      }
      const quantizer = made.get(placement) ?? create(placement, []);
      made.set(placement, quantizer);
      byValue.set(name, quantizer);
    }
    this.quantizers = [...made.values()];
    this.byValue = byValue;
    this.fixed = fixed;
  }

  /** What the file gets, by id. */
  learned(): Map<string, LearnedQuantizer> {
    return new Map(
      [...this.fixed.values(), ...this.quantizers].map((quantizer) => [quantizer.id, quantizer.learned()]),
    );
  }

  dispose(): void {
    for (const quantizer of [...this.quantizers, ...this.fixed.values()]) quantizer.dispose();
  }
}

// Constants as the network means them: with the factor of a folded batch normalization multiplied in.

import { QdgError } from "../base/error.js";
import { expectDType, float32, type Tensor } from "../base/tensor.js";
import { type Graph, type Value, valuesOf } from "../graph/graph.js";

/** A constant with its folded factor multiplied in. */
export function materialize(value: Value): Tensor {
  const { constant, channelFactor } = value;
  if (!constant) throw new QdgError("internal", value.name, "is not constant");
  if (!channelFactor) return constant;
  const { data, shape } = expectDType(constant, "float32", value.name);
  const inner = shape.slice(channelFactor.axis + 1).reduce((product, dim) => product * dim, 1);
  const channels = channelFactor.factors.length;
  return float32(
    shape,
    data.map((w, i) => w * (channelFactor.factors[Math.floor(i / inner) % channels] as number)),
  );
}

/** Does so to all constants of a graph. */
export function materializeFactors(graph: Graph): void {
  for (const value of valuesOf(graph)) {
    if (!value.channelFactor) continue;
    value.constant = materialize(value);
    delete value.channelFactor;
  }
}

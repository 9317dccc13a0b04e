// Maximum and average over all of space.

import type { LayerConfig } from "../config.js";
import { spatialInput } from "../convolution.js";
import { only, type Emit, type LayerDefinition } from "../layer.js";
import { readPoolingFormat } from "./pooling.js";

type GlobalOp = "GlobalAveragePool" | "GlobalMaxPool";

export const globalAveragePooling1D: LayerDefinition = global(
  "GlobalAveragePooling1D",
  "GlobalAveragePool",
  1,
);
export const globalAveragePooling2D: LayerDefinition = global(
  "GlobalAveragePooling2D",
  "GlobalAveragePool",
  2,
);
export const globalMaxPooling1D: LayerDefinition = global("GlobalMaxPooling1D", "GlobalMaxPool", 1);
export const globalMaxPooling2D: LayerDefinition = global("GlobalMaxPooling2D", "GlobalMaxPool", 2);

function global(className: string, op: GlobalOp, rank: number): LayerDefinition {
  return { className, prepare: (config) => prepare(config, op, rank) };
}

/** [N, ...space, C] to [N, C]: the pool (`layer/pool`, [N, C, 1...]), then a Reshape. */
function prepare(config: LayerConfig, op: GlobalOp, rank: number): Emit {
  const format = readPoolingFormat(config, rank);
  config.neutral("keepdims", false);

  return (inputs, call) => {
    const x = spatialInput(only(inputs, call), rank, format, call);
    const kept = x.shape.slice(0, 2);
    const pooled = call.node(op, [x], "pool", [...kept, ...Array<number>(rank).fill(1)]);
    return { value: call.reshape(pooled, "", kept), layout: "as-is" };
  };
}

// Low-bit weights of a layer that runs in float: stored as integers, real again when the file is loaded.

import { float32 } from "../base/tensor.js";
import type { Node, Value } from "../graph/graph.js";
import { outputChannelAxis } from "../graph/passes/fold-batch-norm.js";
import type { Emitter } from "./emitter.js";
import type { WeightStorage } from "./form.js";
import { deployedScale, weightIntegers } from "./quantized-weights.js";
import { storeWeights } from "./stored-weights.js";

/**
 * `w = fl(q * scale[k])` by Cast and Mul of constants, which fold when the file is loaded. DequantizeLinear
 * would not fold, and a runtime may take it as leave to quantize the activations by rules of its own.
 */
export function storedRealWeights(
  emitter: Emitter,
  weight: Value,
  node: Node,
  storage: WeightStorage,
): Value {
  const shape = weight.constant?.shape ?? [];
  const axis = outputChannelAxis(node);
  const integers = weightIntegers(weight, node.origin);
  const bits = weight.quantization?.spec.bits ?? 8;
  const stored = storeWeights(emitter, integers, shape, bits, storage, node.origin);
  let real = emitter.node("Cast", node.origin, [stored.value], { shape }, { to: 1 });
  if (stored.zeroPoint !== 0) {
    real = emitter.node("Sub", node.origin, [real, emitter.float(stored.zeroPoint)], { shape });
  }
  const channels = axis === null ? 1 : (shape[axis] as number);
  const scaleShape = axis === null ? [] : shape.map((dim, index) => (index === axis ? dim : 1));
  const scale = emitter.constant(float32(scaleShape, deployedScale(weight, channels)));
  return emitter.node("Mul", node.origin, [real, scale], { shape });
}

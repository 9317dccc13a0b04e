// Functions of one element between integers: few integers go in, so that what comes out is a table.

import type { Node } from "../graph/graph.js";
import { clipRange } from "../graph/node-kinds.js";
import { dequantize, quantize } from "../quant/affine.js";
import { type Quantization, qmax, qmin } from "../quant/spec.js";

/** The function of a Relu or a Clip; null for another node. */
export function rectifierFunction(node: Node): ((x: number) => number) | null {
  const range = clipRange(node);
  return range && ((x) => Math.min(Math.max(x, range[0]), range[1]));
}

/** `table[i] = quantize(f(dequantize(qmin + i)))`: every integer of x through f, rounded once. */
export function lookupTable(f: (x: number) => number, from: Quantization, to: Quantization): Int32Array {
  const low = qmin(from.spec);
  const integers = Int32Array.from({ length: qmax(from.spec) - low + 1 }, (_, i) => low + i);
  const results = Float32Array.from(dequantize(integers, [integers.length], from), f);
  return quantize(results, [results.length], to);
}

// Softmax: sums in double, rounded once to float32.

import { intAttribute } from "../graph/graph.js";
import type { Kernel } from "./kernel.js";
import { axisOf, float32At, inputAt, newTensor } from "./kernel.js";
import { around } from "./shapes.js";

/** `e^(x - max) / sum`, or its logarithm, along one axis. */
export function softmax(op: "Softmax" | "LogSoftmax"): Kernel {
  return (call) => {
    const x = float32At(call, 0);
    const { shape } = inputAt(call, 0);
    const axis = axisOf(call, intAttribute(call.node, "axis", -1), shape.length);
    const [outer, size, inner] = around(shape, axis);
    const y = newTensor(call, "float32", shape);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const at = (k: number): number => (o * size + k) * inner + i;
        let highest = Number.NEGATIVE_INFINITY;
        for (let k = 0; k < size; k++) highest = Math.max(highest, x[at(k)] as number);
        let total = 0;
        for (let k = 0; k < size; k++) total += Math.exp((x[at(k)] as number) - highest);
        for (let k = 0; k < size; k++) {
          const difference = (x[at(k)] as number) - highest;
          y.data[at(k)] = op === "Softmax" ? Math.exp(difference) / total : difference - Math.log(total);
        }
      }
    }
    return [y];
  };
}

// Layers that combine tensors element by element: Add, Multiply, Average, Maximum, Minimum.

import type { Value } from "../../graph/graph.js";
import type { LayerCall, LayerDefinition } from "../layer.js";
import { broadcastShape, mergeOperands } from "../merging.js";

export const add: LayerDefinition = merge("Add", (operands, call) => {
  const shape = broadcastShape(operands, call);
  return call.node(operands.length === 2 ? "Add" : "Sum", operands, "", shape);
});

export const average: LayerDefinition = merge("Average", (operands, call) =>
  call.node("Mean", operands, "", broadcastShape(operands, call)),
);

export const maximum: LayerDefinition = merge("Maximum", (operands, call) =>
  call.node("Max", operands, "", broadcastShape(operands, call)),
);

export const minimum: LayerDefinition = merge("Minimum", (operands, call) =>
  call.node("Min", operands, "", broadcastShape(operands, call)),
);

/** ONNX multiplies two at a time: partial products are `layer/product_1`, ... */
export const multiply: LayerDefinition = merge("Multiply", (operands, call) =>
  operands.slice(1).reduce((product, operand, i) => {
    const what = i === operands.length - 2 ? "" : `product_${i + 1}`;
    return call.node("Mul", [product, operand], what, broadcastShape([product, operand], call));
  }, operands[0] as Value),
);

function merge(
  className: string,
  combine: (operands: readonly Value[], call: LayerCall) => Value,
): LayerDefinition {
  return {
    className,
    takesSeveral: true,
    prepare: () => (inputs, call) => {
      const { operands, layout } = mergeOperands(inputs, call);
      return { value: combine(operands, call), layout };
    },
  };
}

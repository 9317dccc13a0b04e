// What layers of several inputs have in common: operands of one rank and one layout, and the shape of a
// broadcast.

import type { Dim, Value } from "../graph/graph.js";
import { broadcastDim, formatShape } from "./dims.js";
import type { Held, Layout } from "./held.js";
import { rankOf } from "./held.js";
import type { LayerCall } from "./layer.js";

/**
 * Operands that ONNX can combine. tfjs gives all of them the highest rank by axes of size 1 after the
 * batch. When one is held channels first, all are.
 *
 * @throws QdgError `invalid-model` for fewer than two inputs
 */
export function mergeOperands(
  inputs: readonly Held[],
  call: LayerCall,
): { readonly operands: readonly Value[]; readonly layout: Layout } {
  if (inputs.length < 2) call.failModel(`got ${inputs.length} inputs, expected at least 2`);
  const rank = Math.max(...inputs.map(rankOf));
  const padded = inputs.map((held, index): Held => {
    const missing = rank - rankOf(held);
    if (missing === 0) return held;
    const x = call.asIs(held);
    const shape = [x.shape[0] ?? 1, ...Array<number>(missing).fill(1), ...x.shape.slice(1)];
    return { value: call.reshape(x, `operand_${index}`, shape), layout: "as-is" };
  });
  const layout = commonLayout(padded);
  return { operands: padded.map((held) => call.inLayout(held, layout)), layout };
}

export function commonLayout(inputs: readonly Held[]): Layout {
  return inputs.some((held) => rankOf(held) > 2 && held.layout === "channels-first")
    ? "channels-first"
    : "as-is";
}

/** @throws QdgError `invalid-model` when shapes of one rank do not broadcast */
export function broadcastShape(operands: readonly Value[], call: LayerCall): Dim[] {
  const [first, ...rest] = operands.map((operand) => operand.shape);
  return rest.reduce<Dim[]>(
    (shape, other) =>
      shape.map((dim, axis) => {
        const result = broadcastDim(dim, other[axis] ?? 1);
        return (
          result ??
          call.failModel(`shapes ${formatShape(shape)} and ${formatShape(other)} do not go together`)
        );
      }),
    [...(first ?? [])],
  );
}

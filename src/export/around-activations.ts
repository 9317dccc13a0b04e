// Finds the pairs of quantizers that stand before and after an activation function, and their parameters.

import type { Graph, Node, Value } from "../graph/graph.js";
import { consumers, inputOf, outputOf, valuesOf } from "../graph/graph.js";
import { scalarActivation } from "../graph/activations.js";
import { kindOf } from "../graph/node-kinds.js";
import type { Placement } from "../graph/place-quantizers.js";
import { MseObserver } from "../quant/observers/mse.js";
import type { Observer } from "../quant/observers/observer.js";
import { paramsAroundActivation } from "../quant/observers/through-activation.js";
import type { QuantParams } from "../quant/spec.js";

/**
 * For every activation function whose input and output have quantizers of their own, shared with no other
 * value, and whose input nothing else reads, pooled in between or not: the parameters of both. Needs the histograms of `mse`.
 */
export function quantizersAroundActivations(
  graph: Graph,
  placements: readonly Placement[],
  observers: ReadonlyMap<Placement, Observer>,
): Map<Placement, QuantParams> {
  const single = new Map(
    placements.flatMap((placement) => {
      const [value, ...rest] = placement.values;
      return value && rest.length === 0 ? [[value, placement] as const] : [];
    }),
  );
  const uses = consumers(graph);
  const found = new Map<Placement, QuantParams>();
  for (const node of graph.nodes) {
    if (kindOf(node) !== "unary") continue;
    const source = onlyReadBy(node, uses);
    const before = source && single.get(source);
    const after = single.get(outputOf(node));
    const observer = before && observers.get(before);
    const f = scalarActivation(node);
    if (!before || !after || !(observer instanceof MseObserver) || !f) continue;
    const params = paramsAroundActivation(observer.histogram, f, before.spec, after.spec);
    if (!params) continue;
    found.set(before, params.before);
    found.set(after, params.after);
  }
  return found;
}

/** Values that nothing but activation functions reads, moved or not, by name: those functions. */
export function activationsAfter(graph: Graph): Map<string, readonly ((x: number) => number)[]> {
  const uses = consumers(graph);
  const functionsOf = (value: Value): ((x: number) => number)[] | null => {
    const readers = uses.get(value) ?? [];
    if (readers.length === 0 || graph.outputs.includes(value)) return null;
    const found: ((x: number) => number)[] = [];
    for (const reader of readers) {
      const f = kindOf(reader) === "unary" ? scalarActivation(reader) : null;
      const moved = kindOf(reader) === "rearranging" ? functionsOf(outputOf(reader)) : null;
      if (!f && !moved) return null;
      found.push(...(f ? [f] : (moved ?? [])));
    }
    return found;
  };
  return new Map(
    valuesOf(graph).flatMap((value) => {
      const functions = value.constant ? null : functionsOf(value);
      return functions ? [[value.name, functions] as const] : [];
    }),
  );
}

/** The value whose integers a node reads, moved or not, when nothing else reads them; null otherwise. */
function onlyReadBy(node: Node, uses: ReadonlyMap<Value, readonly Node[]>): Value | null {
  let value = inputOf(node, 0);
  for (;;) {
    if (uses.get(value)?.length !== 1) return null;
    if (!value.producer || kindOf(value.producer) !== "rearranging") return value;
    value = inputOf(value.producer, 0);
  }
}

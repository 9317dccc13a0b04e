// From a graph to the list of steps that compute it: constants folded, integer patterns joined, the rest as
// written, nothing that no output needs. Runs the steps too, and forgets values after their last reader.

import { breathe } from "../../base/breathe.js";
import type { Tensor } from "../../base/tensor.js";
import { foldedConstants } from "../../compute/folded-constants.js";
import { LiveValues } from "../../compute/live-values.js";
import { ALL_OPERATORS } from "../../compute/operators.js";
import { evaluate, isConstant, type Replace, type Step, stepOf } from "../../compute/step.js";
import type { Graph, Value } from "../../graph/graph.js";
import { fuse } from "./fusion.js";

export interface Plan {
  readonly steps: readonly Step[];
  readonly constants: ReadonlyMap<Value, Tensor>;
  /** Values that nothing after step i reads, by i. */
  readonly lastRead: readonly (readonly Value[])[];
}

/**
 * @throws QdgError `unsupported-op` for a node that the interpreter does not compute, also where only
 * running would reach it
 */
export function planOf(graph: Graph): Plan {
  const constants = foldedConstants(graph, ALL_OPERATORS);
  const fused = fuse(graph, constants);
  const unfolded = graph.nodes.filter((node) => node.outputs.some((output) => !constants.has(output)));
  const live = liveSteps(
    unfolded.map((node) => fused.get(node) ?? stepOf(node, ALL_OPERATORS)),
    graph.outputs,
  );
  const steps: Step[] = [];
  for (const step of live) {
    if (isConstant(step.inputs, constants)) evaluate(step, constants);
    else steps.push(step);
  }
  return { steps, constants, lastRead: lastReads(steps, graph.outputs, constants) };
}

/** Steps whose outputs are read, in order. */
function liveSteps(steps: readonly Step[], outputs: readonly Value[]): Step[] {
  const live = new Set<Value>(outputs);
  const kept: Step[] = [];
  for (const step of [...steps].reverse()) {
    if (!step.outputs.some((output) => live.has(output))) continue;
    for (const input of step.inputs) if (input) live.add(input);
    kept.push(step);
  }
  return kept.reverse();
}

function lastReads(
  steps: readonly Step[],
  outputs: readonly Value[],
  constants: ReadonlyMap<Value, Tensor>,
): Value[][] {
  const last = new Map<Value, number>();
  steps.forEach((step, i) => {
    for (const output of step.outputs) last.set(output, i);
    for (const input of step.inputs) if (input) last.set(input, i);
  });
  const lists: Value[][] = steps.map(() => []);
  const kept = new Set(outputs);
  for (const [value, i] of last) {
    if (!kept.has(value) && !constants.has(value)) lists[i]?.push(value);
  }
  return lists;
}

/**
 * Computes the values of all outputs from those of the inputs.
 *
 * @param replace sees every computed value as it comes, and may put another tensor of its kind in its place
 */
export async function runPlan(
  plan: Plan,
  inputs: ReadonlyMap<Value, Tensor>,
  replace?: Replace,
): Promise<ReadonlyMap<Value, Tensor>> {
  const values = new LiveValues();
  for (const [value, tensor] of plan.constants) values.set(value, tensor);
  for (const [value, tensor] of inputs) values.set(value, tensor);
  for (const [i, step] of plan.steps.entries()) {
    evaluate(step, values, replace);
    for (const value of plan.lastRead[i] as readonly Value[]) values.delete(value);
    await breathe();
  }
  return values;
}

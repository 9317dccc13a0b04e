// From a graph to the list of steps that compute it: constants folded, integer patterns joined, the rest as
// written, nothing that no output needs. Runs the steps too, and forgets values after their last reader.

import { breathe } from "../../base/breathe.js";
import { errorText, QdgError } from "../../base/error.js";
import type { Tensor } from "../../base/tensor.js";
import { sizeOf } from "../../base/tensor.js";
import type { Graph, Node, Value } from "../../graph/graph.js";
import type { Step } from "./fusion.js";
import { fuse } from "./fusion.js";
import { whereOf } from "../../compute/kernel.js";
import { LiveValues, MAX_LIVE_BYTES } from "./live-values.js";
import { kernelOf } from "../../compute/operators.js";

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
  const constants = foldedConstants(graph);
  const fused = fuse(graph, constants);
  const unfolded = graph.nodes.filter((node) => node.outputs.some((output) => !constants.has(output)));
  const live = liveSteps(
    unfolded.map((node) => fused.get(node) ?? stepOf(node)),
    graph.outputs,
  );
  const steps: Step[] = [];
  for (const step of live) {
    if (isConstant(step.inputs, constants)) evaluate(step, constants);
    else steps.push(step);
  }
  return { steps, constants, lastRead: lastReads(steps, graph.outputs, constants) };
}

/**
 * Values that no input decides: constants, and what nodes compute from them. What DequantizeLinear makes of
 * constants is not among them, so that integers of weights stay visible as such.
 */
export function foldedConstants(graph: Graph): LiveValues {
  const constants = new LiveValues();
  for (const node of graph.nodes) {
    for (const input of node.inputs) if (input?.constant) constants.set(input, input.constant);
  }
  for (const output of graph.outputs) if (output.constant) constants.set(output, output.constant);
  for (const node of graph.nodes) {
    if (node.op !== "DequantizeLinear" && isConstant(node.inputs, constants)) {
      evaluate(stepOf(node), constants);
    }
  }
  return constants;
}

function isConstant(inputs: readonly (Value | null)[], constants: ReadonlyMap<Value, Tensor>): boolean {
  return inputs.every((input) => input === null || constants.has(input));
}

function stepOf(node: Node): Step {
  const kernel = kernelOf(node);
  return {
    node,
    inputs: node.inputs,
    outputs: node.outputs,
    run: (inputs) => kernel({ node, inputs }),
  };
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

/** What stands for a value from then on, given what was computed. */
export type Replace = (value: Value, computed: Tensor) => Tensor;

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

function evaluate(step: Step, values: LiveValues, replace?: Replace): void {
  const inputs = step.inputs.map((input) => {
    if (!input) return null;
    const value = values.get(input);
    if (!value) {
      throw new QdgError("invalid-graph", whereOf(step.node), `reads ${input.name} before it is computed`);
    }
    return value;
  });
  let results: readonly Tensor[];
  try {
    results = step.run(inputs);
  } catch (thrown) {
    if (thrown instanceof QdgError) throw thrown;
    throw new QdgError("internal", whereOf(step.node), errorText(thrown), { cause: thrown });
  }
  step.outputs.forEach((output, i) => {
    const result = results[i];
    if (!result || result.dtype !== output.dtype || result.data.length !== sizeOf(result.shape)) {
      const got = result ? `${result.dtype} [${result.shape.join(", ")}]` : "nothing";
      throw new QdgError(
        "invalid-graph",
        whereOf(step.node),
        `output ${output.name}: got ${got}, expected ${output.dtype}`,
      );
    }
    values.set(output, replace ? replace(output, result) : result);
  });
  if (values.bytes > MAX_LIVE_BYTES) {
    throw new QdgError(
      "invalid-graph",
      whereOf(step.node),
      `the tensors that are held up to here take ${values.bytes} bytes, expected at most ${MAX_LIVE_BYTES}; take a smaller input`,
    );
  }
}

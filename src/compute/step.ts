// One computation of an interpreted graph, a node by itself or several as one, and how its results are checked.

import { errorText, QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { sizeOf } from "../base/tensor.js";
import type { Node, Value } from "../graph/graph.js";
import { kernelOf, type Operators, whereOf } from "./kernel.js";
import { type LiveValues, MAX_LIVE_BYTES } from "./live-values.js";

export interface Step {
  /** The node that says what is computed, for messages. */
  readonly node: Node;
  readonly inputs: readonly (Value | null)[];
  readonly outputs: readonly Value[];
  readonly run: (inputs: readonly (Tensor | null)[]) => readonly Tensor[];
}

/** The step of a node as it is written. @throws QdgError `unsupported-op` */
export function stepOf(node: Node, operators: Operators): Step {
  const kernel = kernelOf(node, operators);
  return {
    node,
    inputs: node.inputs,
    outputs: node.outputs,
    run: (inputs) => kernel({ node, inputs }),
  };
}

export function isConstant(
  inputs: readonly (Value | null)[],
  constants: ReadonlyMap<Value, Tensor>,
): boolean {
  return inputs.every((input) => input === null || constants.has(input));
}

/** What stands for a value from then on, given what was computed. */
export type Replace = (value: Value, computed: Tensor) => Tensor;

/**
 * Computes a step and keeps its results among `values`.
 *
 * @throws QdgError `invalid-graph` for an input that is not there, results of another type, or more than MAX_LIVE_BYTES
 */
export function evaluate(step: Step, values: LiveValues, replace?: Replace): void {
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

// Values that are a function of one byte, element by element: whatever operators spell it out, it is a table of 256
// entries, computed by the operators themselves.

import type { Tensor } from "../base/tensor.js";
import { allocate, tensor } from "../base/tensor.js";
import type { Operators } from "../compute/kernel.js";
import { stepOf } from "../compute/step.js";
import type { Node, Value } from "../graph/graph.js";

const BYTES = 256;

/** Operators that compute each element from the element at its place. */
const ELEMENTWISE: ReadonlySet<string> = new Set(
  (
    "Abs Add Cast Ceil Clip DequantizeLinear Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish " +
    "Identity LeakyRelu Less LessOrEqual Log Max Min Mish Mul Neg Not Pow QuantizeLinear Reciprocal Relu Round Selu " +
    "Sigmoid Sign Softplus Softsign Sqrt Sub Swish Tanh ThresholdedRelu Where"
  ).split(" "),
);

/** Reads of a list of one axis. */
const TABLES: ReadonlySet<string> = new Set(["Gather", "GatherElements"]);
const RESHAPES: ReadonlySet<string> = new Set(["Flatten", "Reshape", "Squeeze", "Unsqueeze"]);

/** `value[i] = table[source[i]]`, elements counted in the order of the file. */
export interface ByteFunction {
  /** A value of uint8. */
  readonly source: Value;
  /** 256 elements. */
  readonly table: Tensor;
}

/** Finds functions of one byte; each value is looked at once. */
export class ByteFunctions {
  readonly #constants: ReadonlyMap<Value, Tensor>;
  readonly #operators: Operators;
  readonly #found = new Map<Value, ByteFunction | null>();

  constructor(constants: ReadonlyMap<Value, Tensor>, operators: Operators) {
    this.#constants = constants;
    this.#operators = operators;
  }

  /** A value of uint8 is a function of itself. */
  of(value: Value): ByteFunction | null {
    if (this.#constants.has(value)) return null;
    if (value.dtype === "uint8") {
      const table = Uint8Array.from({ length: BYTES }, (_, byte) => byte);
      return { source: value, table: tensor("uint8", [BYTES], table) };
    }
    let found = this.#found.get(value);
    if (found === undefined) {
      found = value.producer ? this.through(value.producer) : null;
      this.#found.set(value, found);
    }
    return found;
  }

  /** The first output of a node as a function of one byte, of another value than itself. */
  through(node: Node): ByteFunction | null {
    if (node.domain !== "" || node.outputs.length !== 1) return null;
    // The same elements in the same order: a byte that is only given another shape stays itself (raise-moves.ts).
    if (RESHAPES.has(node.op)) {
      const [x] = node.inputs;
      return x && node.outputs[0]?.dtype !== "uint8" ? this.of(x) : null;
    }
    const isTable = TABLES.has(node.op) && this.#constants.get(node.inputs[0] as Value)?.shape.length === 1;
    if (!isTable && !ELEMENTWISE.has(node.op)) return null;
    let source: Value | null = null;
    const inputs: (Tensor | null)[] = [];
    for (const [index, input] of node.inputs.entries()) {
      const constant = input && this.#constants.get(input);
      if (!input || (constant && (constant.data.length === 1 || (isTable && index === 0)))) {
        inputs.push(constant ?? null);
        continue;
      }
      const operand = constant ? null : this.of(input);
      if (!operand || (source && operand.source !== source)) return null;
      source = operand.source;
      inputs.push(operand.table);
    }
    if (!source) return null;
    if (isTable) inputs[1] = withinRows(inputs[1] as Tensor, inputs[0]?.data.length ?? 0);
    const [table] = stepOf(node, this.#operators).run(inputs);
    return table && table.data.length === BYTES ? { source, table } : null;
  }
}

/** A table of fewer than 256 rows is never asked for more: bytes above do not occur, and get its last row. */
function withinRows(indices: Tensor, rows: number): Tensor {
  const data = allocate(indices.dtype, indices.data.length);
  for (let i = 0; i < data.length; i++) {
    const index = Number(indices.data[i]);
    const within = Math.min(index, rows - 1);
    data[i] = (typeof data[i] === "bigint" ? BigInt(within) : within) as never;
  }
  return { ...indices, data };
}

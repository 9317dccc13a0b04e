// Adds up what reconstruction needs to know of one layer, over samples: products of inputs with inputs and with
// outputs, computed by the runtime and added in float64. No sample is kept.

import { expectDType, float32 } from "../../base/tensor.js";
import { GraphBuilder } from "../../graph/builder.js";
import { DEFAULT_OPSET } from "../../onnx/opset.js";
import type { LayerStatistics } from "../../quant/reconstruction/reconstruct.js";
import { cpuRuntime } from "../../runtime/cpu.js";
import type { Session } from "../../runtime/runtime.js";
import { floatFile } from "../float-file.js";
import { THREADS } from "./walk.js";
import type { Columns, WeightRows } from "./weight-rows.js";

/** Columns that one product takes at least: smaller ones cost more to start than to compute. */
const ENOUGH = 784;

export class LayerSums {
  readonly #rows: WeightRows;
  readonly #session: Session;
  readonly #gram: Float64Array;
  readonly #cross: Float64Array;
  /** Sums over positions of each input and output, [groups, K] and [groups, O]. */
  readonly inputSums: Float64Array;
  readonly outputSums: Float64Array;
  #positions = 0;
  #waiting: Columns[] = [];

  private constructor(rows: WeightRows, session: Session) {
    const { groups, inputs, outputs } = rows;
    this.#rows = rows;
    this.#session = session;
    this.#gram = new Float64Array(groups * inputs * inputs);
    this.#cross = new Float64Array(groups * outputs * inputs);
    this.inputSums = new Float64Array(groups * inputs);
    this.outputSums = new Float64Array(groups * outputs);
  }

  static async open(rows: WeightRows): Promise<LayerSums> {
    return new LayerSums(rows, await cpuRuntime.open({ bytes: productsFile(rows) }, { threads: THREADS }));
  }

  get positions(): number {
    return this.#positions;
  }

  async add(columns: Columns): Promise<void> {
    this.#waiting.push(columns);
    this.#positions += columns.count;
    addRows(this.inputSums, columns.inputs, columns.count);
    addRows(this.outputSums, columns.outputs, columns.count);
    if (this.#waiting.reduce((sum, { count }) => sum + count, 0) >= ENOUGH) await this.#flush();
  }

  async #flush(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    const count = waiting.reduce((sum, each) => sum + each.count, 0);
    if (count === 0) return;
    const { groups, inputs, outputs } = this.#rows;
    const x = sideBySide(
      waiting.map((each) => [each.inputs, each.count]),
      groups * inputs,
      count,
    );
    const y = sideBySide(
      waiting.map((each) => [each.outputs, each.count]),
      groups * outputs,
      count,
    );
    const { gram, cross } = await this.#session.run({
      x: float32([groups, inputs, count], x),
      y: float32([groups, outputs, count], y),
    });
    addTo(this.#gram, expectDType(gram as never, "float32", "gram").data);
    addTo(this.#cross, expectDType(cross as never, "float32", "cross").data);
  }

  dispose(): Promise<void> {
    return this.#session.dispose();
  }

  /** Of each group. */
  async finish(): Promise<readonly LayerStatistics[]> {
    await this.#flush();
    const { groups, inputs, outputs } = this.#rows;
    return Array.from({ length: groups }, (_, g) => ({
      inputs,
      gram: this.#gram.subarray(g * inputs * inputs, (g + 1) * inputs * inputs),
      cross: this.#cross.subarray(g * outputs * inputs, (g + 1) * outputs * inputs),
      positions: this.#positions,
    }));
  }
}

/** `gram = x x^T`, `cross = y x^T`, a matrix for each group. */
function productsFile({ groups, inputs, outputs }: WeightRows): Uint8Array {
  const builder = new GraphBuilder("products");
  const x = builder.input("x", [groups, inputs, "P"]);
  const y = builder.input("y", [groups, outputs, "P"]);
  const turned = builder.node(
    "Transpose",
    "x",
    [x],
    { name: "turned", shape: [groups, "P", inputs] },
    { perm: [0, 2, 1] },
  );
  builder.output(builder.node("MatMul", "x", [x, turned], { name: "gram", shape: [groups, inputs, inputs] }));
  builder.output(
    builder.node("MatMul", "y", [y, turned], { name: "cross", shape: [groups, outputs, inputs] }),
  );
  return floatFile(builder.graph, DEFAULT_OPSET);
}

function sideBySide(
  parts: readonly (readonly [data: Float32Array, count: number])[],
  rows: number,
  total: number,
): Float32Array {
  const [only] = parts;
  if (parts.length === 1 && only) return only[0];
  const joined = new Float32Array(rows * total);
  let at = 0;
  for (const [data, count] of parts) {
    for (let row = 0; row < rows; row++)
      joined.set(data.subarray(row * count, (row + 1) * count), row * total + at);
    at += count;
  }
  return joined;
}

function addRows(sums: Float64Array, data: Float32Array, count: number): void {
  for (let row = 0, i = 0; row < sums.length; row++) {
    let sum = 0;
    for (const end = i + count; i < end; i++) sum += data[i] as number;
    sums[row] = (sums[row] as number) + sum;
  }
}

function addTo(sums: Float64Array, data: Float32Array): void {
  for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + (data[i] as number);
}

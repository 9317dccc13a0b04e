// The walk over an annotated float graph that writes out its integers in one of the forms. It decides what
// is an integer and what is real; how integers are written is the form's business.

import { QdgError } from "../base/error.js";
import type { Graph, Node, Value } from "../graph/graph.js";
import { consumers, inputOf, outputOf, stringAttribute } from "../graph/graph.js";
import { scalarActivation } from "../graph/activations.js";
import {
  activationInputs,
  clipRange,
  floatTail,
  kindOf,
  quantizerAfter,
  REQUANTIZE,
} from "../graph/node-kinds.js";
import type { FormName } from "../model/onnx-metadata.js";
import { isExactInFloat32 } from "../quant/bias.js";
import type { Quantization } from "../quant/spec.js";
import { averagePoolWeights, averagesWholeWindows } from "./average-pool.js";
import { Emitter } from "./emitter.js";
import { exactAdd } from "./exact-sums.js";
import { FloatForm } from "./float-form.js";
import { type Form, type Integers, type Sum, type WeightStorage, boundsOf, scaleOf } from "./form.js";
import { IntegerForm } from "./integer-form.js";
import { lookupTable, rectifierFunction } from "./lookup-table.js";
import { materialize } from "./materialize.js";
import { quantizedWeights } from "./quantized-weights.js";
import { storedRealWeights } from "./real-weights.js";
import { WebgpuForm } from "./webgpu-form.js";
import { averageBound, productBound, weightedBound } from "./wide-sums.js";

export interface LowerOptions {
  readonly form: FormName;
  readonly weights: WeightStorage;
}

/** A quantized activation of the lowered graph, for those who compare integers. */
export interface LoweredIntegers {
  readonly name: string;
  readonly layer: string;
  readonly quantization: Quantization;
}

export interface Lowered {
  readonly graph: Graph;
  readonly integers: readonly LoweredIntegers[];
  /** Layers with channels whose scale was widened to hold their bias, and how many. */
  readonly adjusted: ReadonlyMap<string, number>;
  /**
   * Layers whose sums are computed in float32 and may leave what it holds exactly, and the bound of each, 2^24 or
   * more: there the integers may differ from those of an integer kernel. Infinity: only run time knows.
   */
  readonly wideSums: ReadonlyMap<string, number>;
  /** Layers in real numbers whose results are quantized: their last bits differ between runtimes. */
  readonly realBeforeQuantizer: readonly string[];
  /** Layers whose 8-bit weights are stored unsigned, as signed ones could saturate: exact, and slower. */
  readonly unsignedWeights: readonly string[];
}

/**
 * Lowers an annotated graph: every value with `quantization` is carried as integers, everything else is
 * real. The result has only ONNX operators and the unpack functions (domain "qdg").
 *
 * @throws QdgError `unsupported-layer` for what has no exact lowering
 */
export function lower(graph: Graph, options: LowerOptions): Lowered {
  return new Lowering(graph, options).run();
}

const FORM = { integer: IntegerForm, float: FloatForm, webgpu: WebgpuForm } as const satisfies Record<
  FormName,
  new (emitter: Emitter, storage: WeightStorage) => Form
>;

class Lowering {
  readonly #graph: Graph;
  readonly #options: LowerOptions;
  readonly #emitter: Emitter;
  readonly #form: Form;
  readonly #uses: ReadonlyMap<Value, readonly Node[]>;
  readonly #tail: ReadonlySet<Node>;
  readonly #real = new Map<Value, Value>();
  readonly #integers = new Map<Value, Integers>();
  readonly #sums = new Map<Value, Sum>();
  readonly #listed: LoweredIntegers[] = [];
  readonly #adjusted = new Map<string, number>();
  readonly #wideSums = new Map<string, number>();
  readonly #realBeforeQuantizer: string[] = [];

  constructor(graph: Graph, options: LowerOptions) {
    this.#graph = graph;
    this.#options = options;
    this.#emitter = new Emitter(graph.name);
    this.#form = new FORM[options.form](this.#emitter, options.weights);
    this.#uses = consumers(graph);
    this.#tail = floatTail(graph);
  }

  run(): Lowered {
    for (const input of this.#graph.inputs) this.#define(input, this.#emitter.input(input), "input");
    for (const node of this.#graph.nodes) this.#lowerNode(node);
    for (const output of this.#graph.outputs) this.#emitter.output(this.#namedOutput(output));
    return {
      graph: this.#emitter.graph,
      integers: this.#listed,
      adjusted: this.#adjusted,
      wideSums: this.#wideSums,
      realBeforeQuantizer: this.#realBeforeQuantizer,
      unsignedWeights: this.#form.unsignedWeights,
    };
  }

  #lowerNode(node: Node): void {
    if (this.#tail.has(node)) return this.#lowerReal(node);
    const kind = kindOf(node);
    switch (kind) {
      case "weighted":
        return this.#lowerWeighted(node);
      case "lookup":
        return this.#lowerLookup(node);
      case "rectifier":
        return this.#lowerRectifier(node);
      case "unary":
        return this.#lowerUnary(node);
      case "same-scale":
        return this.#lowerSameScale(node);
      case "shared-operands":
        return this.#lowerShared(node);
      case "product":
        return this.#lowerProduct(node);
      case "pool":
        return this.#lowerPool(node);
      case "rearranging":
        return this.#lowerRearranging(node);
      case "float":
        return this.#lowerReal(node);
      default:
        throw new QdgError("internal", node.origin, `unknown kind ${String(kind satisfies never)}`);
    }
  }

  #lowerWeighted(node: Node): void {
    const x = this.#integers.get(inputOf(node, 0));
    if (!x) {
      // Weights only: nothing is known of the activations, so the integers become real weights again.
      const inputs = node.inputs.map((input, index) =>
        index === 1 && input?.quantization
          ? storedRealWeights(this.#emitter, input, node, this.#options.weights)
          : this.#realOf(input),
      );
      const output = outputOf(node);
      const value = this.#emitter.node(
        node.op,
        node.origin,
        inputs,
        { shape: output.shape },
        node.attributes,
      );
      return this.#define(output, value, node.origin);
    }
    const weights = quantizedWeights(node, x.quantization);
    if (weights.adjusted.length > 0) this.#adjusted.set(node.origin, weights.adjusted.length);
    const output = outputOf(node);
    const sum = this.#form.weightedSum(node, x, weights, this.#quantizerAfter(output));
    this.#finish(output, this.#bounded(sum, weightedBound(x, weights), node), node);
  }

  /** The sum itself; its layer is noted where float32 computes it and may not hold it. */
  #bounded(sum: Sum, bound: number, node: Node): Sum {
    if (sum.kind !== "real" && !isExactInFloat32(bound)) this.#wideSums.set(node.origin, bound);
    return sum;
  }

  #lowerLookup(node: Node): void {
    const table = inputOf(node, 0);
    const output = outputOf(node);
    const indices = this.#realOf(inputOf(node, 1));
    if (!table.quantization) return this.#lowerReal(node);
    const rows = storedRealWeights(this.#emitter, table, node, this.#options.weights);
    const value = this.#emitter.node(
      "Gather",
      node.origin,
      [rows, indices],
      { shape: output.shape },
      node.attributes,
    );
    this.#define(output, value, node.origin);
  }

  #lowerRectifier(node: Node): void {
    const input = inputOf(node, 0);
    const output = outputOf(node);
    const { quantization } = output;
    const sum = this.#sums.get(input);
    if (sum && quantization) {
      const bounds = boundsOf(quantization, clipRange(node));
      return this.#carry(
        output,
        this.#form.requantize(sum, quantization, bounds, node.origin, output.name),
        node,
      );
    }
    if (this.#integers.has(input) && quantization) return this.#lowerUnary(node);
    this.#lowerReal(node);
  }

  #lowerUnary(node: Node): void {
    const output = outputOf(node);
    const x = this.#integers.get(inputOf(node, 0));
    const { quantization } = output;
    if (!x || !quantization) return this.#lowerReal(node);
    if (node.op === REQUANTIZE && quantization === x.quantization) return void this.#integers.set(output, x);
    const sum = this.#form.unary(node, x);
    if (sum) return this.#finish(output, sum, node);
    const activation = rectifierFunction(node) ?? scalarActivation(node);
    if (!activation) {
      throw new QdgError(
        "unsupported-layer",
        `${node.origin} (${node.op})`,
        "has no function of one element",
      );
    }
    const table = lookupTable(activation, x.quantization, quantization);
    this.#carry(output, this.#form.lookUp(x, table, quantization, node.origin, output.name), node);
  }

  #lowerSameScale(node: Node): void {
    const operands = this.#operands(node);
    if (!operands) return this.#lowerReal(node);
    const output = outputOf(node);
    this.#carry(output, this.#form.select(node, operands, output.name), node);
  }

  #lowerShared(node: Node): void {
    const operands = this.#operands(node);
    if (!operands) return this.#lowerReal(node);
    const [a, b] = operands as [Integers, Integers];
    const output = outputOf(node);
    if (node.op === "Add") {
      return this.#finish(output, this.#form.add(node, a, b, this.#quantizerAfter(output)), node);
    }
    // Sum and Mean have no integer kernel: integer-valued reals add exactly in any order.
    const centered = operands.map((operand) => this.#form.centered(operand, node.origin));
    const share = node.op === "Mean" ? 1 / operands.length : 1;
    const sum = exactAdd(this.#emitter, node, centered as [Value, ...Value[]], scaleOf(a), share);
    this.#finish(output, sum, node);
  }

  #lowerProduct(node: Node): void {
    const operands = this.#operands(node);
    if (!operands) return this.#lowerReal(node);
    const [a, b] = operands as [Integers, Integers];
    const output = outputOf(node);
    const sum = this.#form.product(node, a, b, this.#quantizerAfter(output));
    this.#finish(output, this.#bounded(sum, productBound(node, a, b), node), node);
  }

  #lowerPool(node: Node): void {
    const output = outputOf(node);
    const x = this.#integers.get(inputOf(node, 0));
    const quantizer = this.#quantizerAfter(output);
    if (!x || !quantizer) return this.#lowerReal(node);
    const isStatic = x.value.shape.slice(2).every((dim) => typeof dim === "number");
    if (node.op === "GlobalAveragePool" && isStatic) {
      const sum = this.#form.globalAverage(node, x);
      return this.#finish(output, this.#bounded(sum, averageBound(x), node), node);
    }
    if (node.op === "AveragePool" && averagesWholeWindows(node)) {
      const { conv, weights } = averagePoolWeights(node);
      const sum = this.#form.weightedSum(conv, x, weights, quantizer);
      return this.#finish(output, this.#bounded(sum, weightedBound(x, weights), node), node);
    }
    const sum = this.#form.pool(node, x);
    return sum ? this.#finish(output, sum, node) : this.#lowerReal(node);
  }

  #lowerRearranging(node: Node): void {
    const x = this.#integers.get(inputOf(node, 0));
    if (!x || !rearrangesIntegers(node)) return this.#lowerReal(node);
    const output = outputOf(node);
    this.#integers.set(output, this.#form.rearrange(node, x, output.name));
  }

  /** The node as it is, on real numbers. */
  #lowerReal(node: Node): void {
    const sum = node.op === "GlobalAveragePool" ? this.#sums.get(inputOf(node, 0)) : undefined;
    if (sum?.kind === "exact" && !this.#real.has(inputOf(node, 0))) {
      // A scale a channel and the mean over positions commute: scaling the means is less work.
      const { shape } = outputOf(node);
      const value = this.#emitter.node("GlobalAveragePool", node.origin, [sum.value], { shape });
      this.#finish(outputOf(node), { ...sum, value }, node);
      return;
    }
    const inputs = node.inputs.map((input) => this.#realOf(input));
    const { shape, dtype } = outputOf(node);
    const real = this.#emitter.node(
      node.op,
      node.origin,
      inputs,
      { shape, dtype },
      node.attributes,
      node.domain,
    );
    this.#define(outputOf(node), real, node.origin);
  }

  /** The integers of all operands; null when one has none. */
  #operands(node: Node): Integers[] | null {
    const operands = activationInputs(node).map((input) => this.#integers.get(input));
    return operands.every((operand) => operand !== undefined) ? operands : null;
  }

  #quantizerAfter(output: Value): Quantization | null {
    return quantizerAfter(this.#graph, this.#uses, output);
  }

  #finish(output: Value, sum: Sum, node: Node): void {
    const { quantization } = output;
    if (!quantization) {
      this.#sums.set(output, sum);
      return;
    }
    const integers = this.#form.requantize(
      sum,
      quantization,
      boundsOf(quantization),
      node.origin,
      output.name,
    );
    this.#carry(output, integers, node);
  }

  #carry(output: Value, integers: Integers, node: Node): void {
    this.#integers.set(output, integers);
    const { value, quantization } = integers;
    this.#listed.push({ name: value.name, layer: node.origin, quantization });
  }

  /** A real value, quantized where a quantizer stands. */
  #define(source: Value, real: Value, layer: string): void {
    const { quantization } = source;
    if (!quantization) {
      this.#real.set(source, real);
      return;
    }
    if (source.producer) this.#realBeforeQuantizer.push(layer);
    const name = real.name === source.name ? `${source.name}/quantized` : source.name;
    const integers = this.#form.quantize(real, quantization, boundsOf(quantization), layer, name);
    this.#integers.set(source, integers);
    this.#listed.push({ name: integers.value.name, layer, quantization });
  }

  #realOf(value: Value): Value;
  #realOf(value: Value | null): Value | null;
  #realOf(value: Value | null): Value | null {
    if (value === null) return null;
    const known = this.#real.get(value);
    if (known) return known;
    const real = this.#makeReal(value);
    this.#real.set(value, real);
    return real;
  }

  #makeReal(value: Value): Value {
    if (value.constant) return this.#emitter.constant(materialize(value));
    const layer = value.producer?.origin ?? value.name;
    const integers = this.#integers.get(value);
    if (integers) return this.#form.toReal(integers, layer);
    const sum = this.#sums.get(value);
    if (sum) return this.#form.sumToReal(sum, layer);
    throw new QdgError("internal", layer, `${value.name} was read before it was computed`);
  }

  /** Outputs keep their names: quantized values inside already took those of their layers. */
  #namedOutput(output: Value): Value {
    const real = this.#realOf(output);
    if (real.name === output.name) return real;
    const taken = this.#listed.some((integers) => integers.name === output.name);
    if (!taken && real.producer && !this.#emitter.graph.inputs.includes(real)) {
      real.name = output.name;
      return real;
    }
    const name = taken ? `${output.name}/output` : output.name;
    return this.#emitter.node("Identity", output.name, [real], {
      name,
      shape: output.shape,
      dtype: output.dtype,
    });
  }
}

/** Integers move through a node unless it brings in a number of its own. */
function rearrangesIntegers(node: Node): boolean {
  if (node.op !== "Pad") return true;
  const value = node.inputs[2]?.constant?.data[0];
  return (
    stringAttribute(node, "mode", "constant") === "constant" && (value === undefined || Number(value) === 0)
  );
}

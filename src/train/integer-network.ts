// The deployed network in tfjs: the graph that the exporter lowers, in the form whose integers are float32
// numbers. Evaluation in training runs this and nothing else, so what is reported is what the file computes.

import * as tf from "@tensorflow/tfjs";
import { QdgError } from "../base/error.js";
import { quantize } from "../export/quantize.js";
import type { Graph, Node, Value } from "../graph/graph.js";
import { kindOf } from "../graph/node-kinds.js";
import { expandComposites } from "../graph/passes/expand-composites.js";
import { QUANTIZED_PASSES, runPasses } from "../graph/passes/pipelines.js";
import { recipeOf } from "../graph/recipe.js";
import { preprocessingFromJson } from "../image/preprocessing.js";
import type { Layout } from "../image/to-tensor.js";
import { lower, type LoweredIntegers } from "../lower/lower.js";
import { parseLearned } from "../quant/learned.js";
import { bitsInWords } from "../quant/learned-bits.js";
import { constantTensor, execute, type Hooks } from "./execute.js";
import { kernelTensor } from "./ops/kernel-layout.js";
import { asIs, heldImages, type HeldTensor } from "./ops/op.js";
import { namedGraphOf, type TrainableModel } from "./trainable-model.js";

/** One quantized activation as the file names it: integers from the zero point, in the graph's order of axes. */
export interface QuantizedTensor extends ListedIntegers {
  readonly integers: tf.Tensor;
}

interface ListedIntegers extends LoweredIntegers {
  /** The integers of another tensor in another order or shape: files in the float form do not list it. */
  readonly moved: boolean;
}

export class IntegerNetwork {
  readonly #graph: Graph;
  readonly #layout: Layout;
  readonly #listed: readonly ListedIntegers[];
  /** Weights and what is computed from constants alone, made once. */
  readonly #constants: ReadonlyMap<Value, HeldTensor | null>;

  /**
   * @param model with learned scales for all its quantizers, or for its weights alone
   * @throws QdgError `invalid-quantization` for a model without learned scales, and what the export throws
   */
  static async create(model: TrainableModel): Promise<IntegerNetwork> {
    const learned = parseLearned(model.userDefinedMetadata);
    if (learned?.byBits) {
      throw new QdgError(
        "invalid-quantization",
        "model",
        `was trained for each of ${bitsInWords(learned)} bits; take it at one of them by modelAtBits`,
      );
    }
    if (!learned || learned.quantizers.size === 0) {
      throw new QdgError(
        "invalid-quantization",
        "model",
        "carries no learned scales; train it with a quantized method",
      );
    }
    const preprocessing =
      learned.preprocessing === undefined
        ? null
        : preprocessingFromJson(learned.preprocessing, "preprocessing");
    // Nothing is asked: bits are those of the learned scales.
    const { graph: source, layout } = namedGraphOf(model);
    const float = runPasses(source, QUANTIZED_PASSES);
    const { graph } = quantize(float, recipeOf({}), null, learned, { preprocessing });
    // One byte a weight: no unpacking to compute.
    const lowered = lower(graph, { form: "float", weights: "int8" });
    return new IntegerNetwork(expandComposites(lowered.graph), layout, lowered.integers);
  }

  private constructor(graph: Graph, layout: Layout, listed: readonly LoweredIntegers[]) {
    this.#layout = layout;
    this.#listed = [...listed.map((each) => ({ ...each, moved: false })), ...movedIntegers(graph, listed)];
    const { constants, rest } = computeConstants(graph);
    this.#constants = constants;
    this.#graph = rest;
  }

  /** What the file gives, [N, classes]: probabilities where the model ends in a softmax. */
  predict(x: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => {
      const output = this.#graph.outputs[0] as Value;
      return asIs(this.#run(x).get(output) as HeldTensor) as tf.Tensor2D;
    });
  }

  /** Of one run, what `predict` gives and every quantized activation in the graph's order; the caller disposes of them. */
  inspect(x: tf.Tensor4D): { readonly output: tf.Tensor2D; readonly quantized: readonly QuantizedTensor[] } {
    const [output, ...integers] = tf.tidy(() => {
      const byName = new Map([...this.#run(x)].map(([value, held]) => [value.name, held]));
      const names = [this.#graph.outputs[0]?.name, ...this.#listed.map(({ name }) => name)];
      return names.map((name = "") => tf.clone(asIs(byName.get(name) as HeldTensor)));
    });
    const quantized = this.#listed.map((listed, i) => ({ ...listed, integers: integers[i] as tf.Tensor }));
    return { output: output as tf.Tensor2D, quantized };
  }

  dispose(): void {
    for (const held of this.#constants.values()) held?.tensor.dispose();
  }

  #run(x: tf.Tensor4D): Map<Value, HeldTensor> {
    const hooks: Hooks = { constant: (value) => this.#constants.get(value) ?? null };
    const input = this.#graph.inputs[0] as Value;
    return execute(this.#graph, new Map([[input, heldImages(x, this.#layout)]]), hooks);
  }
}

/** What only moves listed integers: files list it, too. */
function movedIntegers(graph: Graph, listed: readonly LoweredIntegers[]): ListedIntegers[] {
  const byName = new Map(listed.map((each) => [each.name, each]));
  const moved: ListedIntegers[] = [];
  for (const node of graph.nodes) {
    const source = kindOf(node) === "rearranging" ? byName.get(node.inputs[0]?.name ?? "") : undefined;
    for (const { name } of source ? node.outputs : []) {
      if (!source || byName.has(name)) continue;
      const integers = { name, layer: node.origin, quantization: source.quantization, moved: true };
      byName.set(name, integers);
      moved.push(integers);
    }
  }
  return moved;
}

/** Operators whose second input tfjs wants in a layout of its own. */
const KERNEL_OPS: ReadonlySet<string> = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);

/** Tensors of all constants and of nodes that read nothing else, and the graph of the other nodes. */
function computeConstants(graph: Graph): { constants: Map<Value, HeldTensor | null>; rest: Graph } {
  const constants = new Map<Value, HeldTensor | null>();
  const isConstant = (value: Value | null): boolean => value === null || constants.has(value);
  const first: Node[] = [];
  const later: Node[] = [];
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      if (input?.constant && !constants.has(input)) constants.set(input, constantTensor(input.constant));
    }
    if (!node.inputs.every(isConstant)) {
      later.push(node);
      continue;
    }
    first.push(node);
    for (const output of node.outputs) constants.set(output, null);
  }
  const hooks: Hooks = { constant: (value) => constants.get(value) ?? null };
  tf.tidy(() => {
    const computed = execute({ ...graph, inputs: [], nodes: first }, new Map(), hooks);
    for (const [value, held] of computed) constants.set(value, { ...held, tensor: tf.keep(held.tensor) });
    for (const node of later) {
      const weight = KERNEL_OPS.has(node.op) ? node.inputs[1] : null;
      const held = weight && constants.get(weight);
      if (!weight || held?.layout !== "as-is") continue;
      const tensor = tf.keep(kernelTensor(node, held));
      if (tensor !== held.tensor) held.tensor.dispose();
      constants.set(weight, { tensor, layout: "kernel" });
    }
  });
  return { constants, rest: { ...graph, nodes: later } };
}

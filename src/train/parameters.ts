// The weights of a model as tfjs variables, in the layout that tfjs's kernels take, which is the layout of
// model.json: what is trained goes back into the model as it is.

import * as tf from "@tensorflow/tfjs";
import { QdgError } from "../base/error.js";
import { expectDType } from "../base/tensor.js";
import { type Graph, inputOf, type Node, type Value } from "../graph/graph.js";
import { kindOf } from "../graph/node-kinds.js";
import type { HeldTensor } from "./ops/op.js";
import { kernelLayout } from "./ops/kernel-layout.js";
import type { TrainableModel } from "./trainable-model.js";

/** One weight of a model. */
export interface Parameter {
  /** The constant of the graph (`conv1/kernel`). */
  readonly name: string;
  /** What the model calls it. */
  readonly weight: string;
  readonly layer: string;
  readonly variable: tf.Variable;
  /** How operators are given it. */
  readonly layout: HeldTensor["layout"];
  /** Moving statistics of batch normalization: moved along, not trained. */
  readonly isStatistic: boolean;
  /** The first node that reads it, whose weight it is. */
  readonly reader: Node;
}

/**
 * @param weightNames constant of the graph -> weight of the model
 * @throws QdgError `unsupported-layer` for a weight whose order in the file cannot be told from the graph's
 */
export function createParameters(
  graph: Graph,
  model: Pick<TrainableModel, "weights">,
  weightNames: ReadonlyMap<string, string>,
): Map<Value, Parameter> {
  const parameters = new Map<Value, Parameter>();
  const taken = new Set<string>();
  for (const node of graph.nodes) {
    node.inputs.forEach((input, index) => {
      if (!input?.constant || parameters.has(input)) return;
      const weight = weightNames.get(input.name);
      if (weight === undefined) return;
      const stored = model.weights.get(weight);
      if (!stored) throw new QdgError("internal", input.name, `weight ${weight} is not in the model`);
      const constant = expectDType(input.constant, "float32", node.origin);
      const isKernel = index === 1 && kindOf(node) === "weighted";
      const { shape, data } = isKernel ? kernelLayout(node, constant) : constant;
      const inFile = stored.data;
      if (taken.has(weight)) {
        throw new QdgError(
          "unsupported-layer",
          `${node.origin} (${node.op})`,
          `its ${weight} is used in two orders of axes and would become two weights; call the layer on tensors of one rank`,
        );
      }
      taken.add(weight);
      if (data.length !== inFile.length || data.some((x, i) => !Object.is(x, inFile[i]))) {
        throw new QdgError(
          "unsupported-layer",
          `${node.origin} (${node.op})`,
          `its ${input.name} does not stand in the file as the layer uses it (a constraint, or an unusual input), and could not be written back; remove the constraint`,
        );
      }
      parameters.set(input, {
        name: input.name,
        weight,
        layer: node.origin,
        variable: tf.tidy(() => tf.variable(tf.tensor(inFile.slice(), [...shape], "float32"))),
        layout: isKernel ? "kernel" : "as-is",
        isStatistic: node.op === "BatchNormalization" && index >= 3,
        reader: node,
      });
    });
  }
  return parameters;
}

/**
 * The shape of scales that stand one an output channel against a weight in the layout of kernels; [] for one.
 *
 * @param shape of the weight: [R, S, C, K], depthwise [R, S, C, M], ConvTranspose [R, S, K, C], Gemm [C, K]
 */
export function channelShape(node: Node, shape: readonly number[]): number[] {
  const { op } = node;
  const rank = shape.length;
  const isDepthwiseKernel = op === "Conv" && inputOf(node, 1).shape[0] !== shape[rank - 1];
  const channelAxes =
    op === "ConvTranspose" ? [rank - 2] : isDepthwiseKernel ? [rank - 2, rank - 1] : [rank - 1];
  return shape.map((size, axis) => (channelAxes.includes(axis) ? size : 1));
}

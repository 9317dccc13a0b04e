// Whether a network computes several images of a size: run once on black ones before anything is trained, since sizes that
// a file has fixed are told by no shape.

import * as tf from "@tensorflow/tfjs";
import { errorText, QdgError } from "../base/error.js";
import type { Value } from "../graph/graph.js";
import { constantTensor, execute } from "./execute.js";
import { onnxGraph, type OnnxNetwork } from "./onnx-network.js";
import { heldImages } from "./ops/op.js";

const IMAGES = 2;
const CHANNELS = 3;

/**
 * @throws QdgError `unsupported-model` naming the node that does not take two images of this size, or for an output of another shape
 * than [2, classes]; what operators throw
 */
export function checkRuns(network: OnnxNetwork, imageSize: number, classes: number): void {
  const graph = onnxGraph(network);
  let last: Value = graph.inputs[0] as Value;
  tf.tidy(() => {
    const images = heldImages(tf.zeros([IMAGES, imageSize, imageSize, CHANNELS]), network.layout);
    try {
      const values = execute(graph, new Map([[last, images]]), {
        constant: ({ constant }) => (constant ? constantTensor(constant) : null),
        after: (value, held) => {
          last = value;
          return held;
        },
      });
      const output = graph.outputs[0] as Value;
      const shape = values.get(output)?.tensor.shape ?? [];
      if (shape.join() === `${IMAGES},${classes}`) return;
      throw new QdgError(
        "unsupported-model",
        output.name,
        `gives [${shape.join(", ")}] for ${IMAGES} images, expected [${IMAGES}, ${classes}]; export the model with an open batch`,
      );
    } catch (thrown) {
      if (thrown instanceof QdgError) throw thrown;
      const node = graph.nodes[graph.nodes.findIndex(({ outputs }) => outputs.includes(last)) + 1];
      throw new QdgError(
        "unsupported-model",
        node ? `${node.origin} (${node.op})` : last.name,
        `does not take ${IMAGES} images of ${imageSize} px (${errorText(thrown)}); export the model with an open batch, or give the image size that it was made for`,
        { cause: thrown },
      );
    }
  });
}

// Batch normalization with the statistics of training, and softmax along the last axis.

import type { Value } from "../../../graph/graph.js";
import { heldAxis, rankOf } from "../../held.js";
import { type Emit, type OpFamily, realConstant } from "../call.js";

/** `y = (x - mean[c]) / sqrt(variance[c] + epsilon) * scale[c] + offset[c]` */
const fusedBatchNorm: Emit = (call) => {
  const { attributes } = call;
  attributes.choice("data_format", ["NHWC"], "NHWC");
  if (attributes.boolean("is_training", false)) {
    call.fail("is_training: takes its statistics from the batch; convert the model for inference");
  }
  attributes.ignore("exponential_avg_factor");
  const epsilon = attributes.number("epsilon", 1e-3);
  const x = call.channelsFirst(call.ranked(0, 4).held);
  const parameters = ["scale", "offset", "mean", "variance"].map((what, i): Value => {
    const constant = realConstant(call, i + 1, what);
    if (constant.shape.length !== 1 || constant.shape[0] !== x.shape[1]) {
      call.failModel(`${what}: got ${constant.data.length} numbers for ${x.shape[1]} channels`);
    }
    return call.input(i + 1).held.value;
  });
  const y = call.node("BatchNormalization", [x, ...parameters], "", x.shape, { epsilon: { float: epsilon } });
  // The statistics that training would go on with are outputs too; nobody reads them at inference.
  return [call.result(y, "channels-first")];
};

function alongLast(op: "Softmax" | "LogSoftmax"): Emit {
  return (call) => {
    const held = call.real(0);
    const rank = rankOf(held);
    if (rank === 0) call.failModel("got a scalar");
    const axis = heldAxis(held, rank - 1);
    return call.result(call.node(op, [held.value], "", held.value.shape, { axis }), held.layout);
  };
}

/** `y = x * (bias + alpha * sum of x^2 over the channels within depth_radius) ^ -beta`; ONNX's alpha is of the mean. */
const localResponse: Emit = (call) => {
  const radius = call.attributes.int("depth_radius", 5);
  const bias = call.attributes.number("bias", 1);
  const alpha = call.attributes.number("alpha", 1);
  const beta = call.attributes.number("beta", 0.5);
  const x = call.channelsFirst(call.ranked(0, 4).held);
  const size = 2 * radius + 1;
  const y = call.node("LRN", [x], "", x.shape, {
    size,
    bias: { float: bias },
    alpha: { float: alpha * size },
    beta: { float: beta },
  });
  return call.result(y, "channels-first");
};

export const NORMALIZATION_OPS: OpFamily = {
  FusedBatchNorm: fusedBatchNorm,
  FusedBatchNormV2: fusedBatchNorm,
  FusedBatchNormV3: fusedBatchNorm,
  LRN: localResponse,
  LogSoftmax: alongLast("LogSoftmax"),
  Softmax: alongLast("Softmax"),
};

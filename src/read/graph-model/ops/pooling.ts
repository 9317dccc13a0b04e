// Maximum and average over windows.

import { type Padding, slide, spaceOf } from "../../convolution.js";
import { type Emit, type OpFamily } from "../call.js";
import { spatial } from "./convolution.js";

/** Elements of the padding count in neither; an average is over the elements that are there. */
function pool(op: "MaxPool" | "AveragePool", spatialRank: number): Emit {
  return (call) => {
    const { attributes } = call;
    const x = call.channelsFirst(call.ranked(0, spatialRank + 2).held);
    attributes.choice(
      "data_format",
      spatialRank === 3 ? ["NDHWC"] : ["NHWC"],
      spatialRank === 3 ? "NDHWC" : "NHWC",
    );
    const kernel = spatial(call, "ksize", spatialRank);
    const strides = spatial(call, "strides", spatialRank);
    const same = attributes.choice("padding", ["SAME", "VALID"], "VALID") === "SAME";
    if (attributes.ints("explicit_paddings").length > 0)
      call.fail("explicit_paddings: tfjs has none for pools");
    const padding: Padding = same ? "same" : "valid";
    const dilations = kernel.map(() => 1);
    const window = slide(spaceOf(x), { kernel, strides, dilations, padding }, call);
    if (
      op === "MaxPool" &&
      window.attributes["auto_pad"] !== undefined &&
      kernel.some((size, i) => size < (strides[i] ?? 1))
    ) {
      // ONNX Runtime computes a negative padding for some sizes there, and stops.
      call.fail("padding SAME with strides above ksize needs a fixed input size");
    }
    const shape = [...x.shape.slice(0, 2), ...window.space];
    return call.result(call.node(op, [x], "", shape, window.attributes), "channels-first");
  };
}

export const POOLING_OPS: OpFamily = {
  AvgPool: pool("AveragePool", 2),
  AvgPool3D: pool("AveragePool", 3),
  MaxPool: pool("MaxPool", 2),
  MaxPool3D: pool("MaxPool", 3),
};

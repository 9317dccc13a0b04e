// UpSampling2D by whole factors.

import { float32 } from "../../base/tensor.js";
import { channelLayout, readDataFormat, spatialInput } from "../convolution.js";
import { times } from "../dims.js";
import { only, type LayerDefinition } from "../layer.js";
import { isList } from "../model-json.js";

/** From 49 on tfjs's source index, rounded in float64, falls one pixel short here and there. */
const MAX_NEAREST_FACTOR = 48;

export const upSampling2D: LayerDefinition = {
  className: "UpSampling2D",

  /** `y[p] = x[p / size]`: "nearest" rounds the position down, "bilinear" interpolates, clamped at the end */
  prepare(config) {
    const format = readDataFormat(config);
    const given = config.get("size");
    if (given !== undefined && !isList(given))
      config.wrong("size", "two integers, as tfjs takes no single one");
    const size = config.ints("size", 2, 1, 2);
    const interpolation = config.choice("interpolation", ["nearest", "bilinear"], "nearest");
    if (interpolation === "nearest" && size.some((factor) => factor > MAX_NEAREST_FACTOR)) {
      config.wrong("size", `factors up to ${MAX_NEAREST_FACTOR}; split the layer in two`);
    }

    return (inputs, call) => {
      const x = spatialInput(only(inputs, call), 2, format, call);
      const [n, c, h, w] = x.shape as [number, number, number, number];
      const shape = [n, c, times(h, size[0] ?? 1), times(w, size[1] ?? 1)];
      const scales = call.constant("scales", () => float32([4], [1, 1, ...size]));
      const attributes = {
        coordinate_transformation_mode: "asymmetric",
        ...(interpolation === "nearest" ? { mode: "nearest", nearest_mode: "floor" } : { mode: "linear" }),
      };
      return {
        value: call.node("Resize", [x, null, scales], "", shape, attributes),
        layout: channelLayout(format),
      };
    };
  },
};

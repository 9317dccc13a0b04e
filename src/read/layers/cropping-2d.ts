// Cropping2D.

import { readBorders } from "../borders.js";
import { channelLayout, readDataFormat, spatialInput } from "../convolution.js";
import { plus } from "../dims.js";
import { only, type LayerDefinition } from "../layer.js";

/** "To the end" for an ONNX Slice. */
const END = 2 ** 31 - 1;

export const cropping2D: LayerDefinition = {
  className: "Cropping2D",

  /** Cuts rows and columns off: `cropping` is n, [h, w] or [[top, bottom], [left, right]] */
  prepare(config) {
    const format = readDataFormat(config);
    const [[top, bottom], [left, right]] = readBorders(config, "cropping");

    return (inputs, call) => {
      const x = spatialInput(only(inputs, call), 2, format, call);
      const [n, c, h, w] = x.shape as [number, number, number, number];
      const shape = [n, c, plus(h, -top - bottom), plus(w, -left - right)];
      if (shape.some((dim) => typeof dim === "number" && dim <= 0)) {
        call.failModel(`cropping leaves nothing of [${x.shape.join(", ")}]`);
      }
      const starts = call.ints("starts", [top, left]);
      const ends = call.ints("ends", [bottom === 0 ? END : -bottom, right === 0 ? END : -right]);
      const value = call.node("Slice", [x, starts, ends, call.ints("axes", [2, 3])], "", shape);
      return { value, layout: channelLayout(format) };
    };
  },
};

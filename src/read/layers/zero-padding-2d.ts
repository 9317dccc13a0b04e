// ZeroPadding2D.

import { channelLayout, readDataFormat, spatialInput } from "../convolution.js";
import { plus } from "../dims.js";
import { only, type LayerDefinition } from "../layer.js";
import { readBorders } from "../borders.js";

export const zeroPadding2D: LayerDefinition = {
  className: "ZeroPadding2D",

  /** Zeros around the space: `padding` is n, [h, w] or [[top, bottom], [left, right]], 1 by default */
  prepare(config) {
    const format = readDataFormat(config);
    const [[top, bottom], [left, right]] = readBorders(config, "padding", 1);

    return (inputs, call) => {
      const x = spatialInput(only(inputs, call), 2, format, call);
      const pads = call.ints("pads", [0, 0, top, left, 0, 0, bottom, right]);
      const [n, c, h, w] = x.shape as [number, number, number, number];
      const shape = [n, c, plus(h, top + bottom), plus(w, left + right)];
      const value = call.node("Pad", [x, pads, call.scalar("zero", 0)], "", shape, { mode: "constant" });
      return { value, layout: channelLayout(format) };
    };
  },
};

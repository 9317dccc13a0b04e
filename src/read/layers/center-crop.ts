// CenterCrop: the middle of an image.

import { spatialInput } from "../convolution.js";
import { knownDim, only, type LayerDefinition } from "../layer.js";

export const centerCrop: LayerDefinition = {
  className: "CenterCrop",

  /**
   * Picks rows and columns as tfjs does it: by the nearest pixels of a box given in parts of the image, so
   * not always neighbouring ones. A smaller image would be scaled up, which tfjs cannot run in a model.
   */
  prepare(config) {
    const size = [config.positiveInt("height"), config.positiveInt("width")] as const;
    config.neutral("dataFormat", "channels_last", "channelsLast");

    return (inputs, call) => {
      const x = spatialInput(only(inputs, call), 2, "channelsLast", call);
      const height = knownDim(x.shape[2], "height", call);
      const width = knownDim(x.shape[3], "width", call);
      if (height < size[0] || width < size[1]) {
        call.fail(
          `got ${height}x${width} pixels, expected at least ${size[0]}x${size[1]}: tfjs cannot scale up here`,
        );
      }
      const top = Math.floor((height - size[0]) / 2);
      // tfjs shifts by one column where the difference is a single one.
      const left = width === size[1] ? 0 : Math.floor((width - size[1]) / 2) || 1;
      const rows = call.ints("rows", nearest(height, top, size[0]));
      const columns = call.ints("columns", nearest(width, left, size[1]));
      const [n, c] = x.shape as [number, number];
      const cut = call.node("Gather", [x, rows], "cut", [n, c, size[0], width], { axis: 2 });
      const value = call.node("Gather", [cut, columns], "", [n, c, ...size], { axis: 3 });
      return { value, layout: "channels-first" };
    };
  },
};

/**
 * `round(a * (from - 1) + i * (b - a) * (from - 1) / (to - 1))`, with `a = start / from` and
 * `b = (start + to) / from` in float32: the source of each of `to` pixels out of `from`.
 */
function nearest(from: number, start: number, to: number): number[] {
  const a = Math.fround(start / from);
  const b = Math.fround((start + to) / from);
  if (to === 1) return [Math.round(0.5 * (a + b) * (from - 1))];
  const step = ((b - a) * (from - 1)) / (to - 1);
  return Array.from({ length: to }, (_, i) => Math.round(a * (from - 1) + i * step));
}

// Rescaling.

import { only, type LayerDefinition } from "../layer.js";

/** ONNX's number for float. */
const FLOAT = 1;

export const rescaling: LayerDefinition = {
  className: "Rescaling",
  takesIntegers: true,

  /** `y = x * scale + offset` */
  prepare(config) {
    const scale = config.number("scale");
    const offset = config.number("offset", 0);
    return (inputs, call) => {
      const { value: x, layout } = only(inputs, call);
      const real =
        x.dtype === "float32"
          ? x
          : call.node("Cast", [x], "real", x.shape, { to: FLOAT }, { dtype: "float32" });
      const scaled = call.node(
        "Mul",
        [real, call.scalar("scale", scale)],
        offset === 0 ? "" : "scaled",
        x.shape,
      );
      if (offset === 0) return { value: scaled, layout };
      return { value: call.node("Add", [scaled, call.scalar("offset", offset)], "", x.shape), layout };
    };
  },
};

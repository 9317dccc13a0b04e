// Masking: sets steps that equal the mask value to zero. The mask itself reaches later layers in tfjs, of
// which only Softmax layers heed it; the writer refuses the two together.

import { heldAxis, rankOf } from "../held.js";
import { only, type LayerDefinition } from "../layer.js";

/** ONNX's number for float. */
const FLOAT = 1;

export const masking: LayerDefinition = {
  className: "Masking",

  /** `y = x * (any of x != mask_value along the last axis)` */
  prepare(config) {
    const maskValue = config.number("maskValue", 0);
    return (inputs, call) => {
      const held = only(inputs, call);
      const { value: x, layout } = held;
      call.writer.maskSources.push(call.where);
      const last = heldAxis(held, rankOf(held) - 1);
      const kept = x.shape.map((dim, axis) => (axis === last ? 1 : dim));
      const bool = { dtype: "bool" } as const;
      const equal = call.node("Equal", [x, call.scalar("mask_value", maskValue)], "equal", x.shape, {}, bool);
      const differs = call.node("Not", [equal], "differs", x.shape, {}, bool);
      const ones = call.node("Cast", [differs], "ones", x.shape, { to: FLOAT }, { dtype: "float32" });
      const axes = call.ints("axis", [last]);
      const any = call.node("ReduceMax", [ones, axes], "any", kept, { keepdims: 1 });
      return { value: call.node("Mul", [x, any], "", x.shape), layout };
    };
  },
};

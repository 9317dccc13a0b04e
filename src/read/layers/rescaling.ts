// Rescaling, by one number or by one a channel.

import { float32 } from "../../base/tensor.js";
import type { Value } from "../../graph/graph.js";
import type { LayerConfig } from "../config.js";
import { type Held, heldAxis, rankOf } from "../held.js";
import { type LayerCall, only, type LayerDefinition } from "../layer.js";
import { isList } from "../model-json.js";

export const rescaling: LayerDefinition = {
  className: "Rescaling",

  /** `y = x * scale + offset`, scale and offset numbers, or lists with one number for each place of the last axis */
  prepare(config) {
    const scale = numbers(config, "scale");
    const offset = numbers(config, "offset", 0);
    return (inputs, call) => {
      const held = only(inputs, call);
      const { value: x, layout } = held;
      const moves = offset.some((b) => b !== 0);
      // A scale of 1 alone would only cost a node; without an offset it is the layer's output.
      const scales = !moves || scale.some((a) => a !== 1);
      const scaled = scales
        ? call.node("Mul", [x, alongLast(held, "scale", scale, call)], moves ? "scaled" : "", x.shape)
        : x;
      if (!moves) return { value: scaled, layout };
      return {
        value: call.node("Add", [scaled, alongLast(held, "offset", offset, call)], "", x.shape),
        layout,
      };
    };
  },
};

function numbers(config: LayerConfig, key: string, otherwise?: number): readonly number[] {
  const given = config.get(key);
  if (!isList(given)) return [config.number(key, otherwise)];
  const areNumbers = given.every((x): x is number => typeof x === "number" && Number.isFinite(x));
  return areNumbers && given.length > 0 ? given : config.wrong(key, "a finite number, or a list of them");
}

/** A scalar, or a list that stands along tfjs's last axis. @throws QdgError `invalid-model` for another length */
function alongLast(held: Held, what: string, list: readonly number[], call: LayerCall): Value {
  if (list.length === 1) return call.scalar(what, list[0] as number);
  const rank = rankOf(held);
  const axis = heldAxis(held, rank - 1);
  const size = held.value.shape[axis];
  if (typeof size === "number" && size !== list.length) {
    call.failModel(
      `${what}: got ${list.length} numbers for ${size} channels; give one a channel, or one number`,
    );
  }
  const shape = [list.length, ...Array<number>(rank - 1 - axis).fill(1)];
  const name = shape.length === 1 ? what : `${what}_channels_first`;
  return call.constant(name, () => float32(shape, list), what);
}

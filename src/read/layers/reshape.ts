// The Reshape layer.

import type { Dim } from "../../graph/graph.js";
import { mapDim, product, productDim } from "../dims.js";
import { only, type LayerDefinition } from "../layer.js";
import { isList } from "../model-json.js";

export const reshape: LayerDefinition = {
  className: "Reshape",
  takesIntegers: true,

  /** [N, ...] to [N, ...target_shape]; one entry of it may be open (-1 or null) */
  prepare(config) {
    const given = config.get("targetShape");
    const list = isList(given) ? given : config.wrong("targetShape", "a list of sizes");
    const target = list.map((dim) => {
      if (dim === null || (Number.isSafeInteger(dim) && (dim as number) < 0)) return null;
      return Number.isSafeInteger(dim) ? (dim as number) : config.wrong("targetShape", "a list of sizes");
    });
    if (target.filter((dim) => dim === null).length > 1) config.wrong("targetShape", "one open size at most");

    return (inputs, call) => {
      const x = call.asIs(only(inputs, call));
      const size = product(x.shape.slice(1));
      const known = target.reduce<number>((sum, dim) => sum * (dim ?? 1), 1);
      const open = target.includes(null);
      if (size !== null && (open ? known === 0 || size % known !== 0 : size !== known)) {
        call.failModel(
          `got ${size} elements, expected to make [${target.map((dim) => dim ?? -1).join(", ")}] of them`,
        );
      }
      const rest = mapDim(
        productDim(x.shape.slice(1)),
        (elements) => elements / known,
        (name) => `(${name})/${known}`,
      );
      const shape = target.map((dim): Dim => dim ?? rest);
      return { value: call.reshape(x, "", [x.shape[0] ?? 1, ...shape]), layout: "as-is" };
    };
  },
};

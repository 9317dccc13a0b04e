// The Activation layer.

import { activate, readActivation } from "../activation.js";
import { heldAxis, rankOf } from "../held.js";
import { only, type LayerDefinition } from "../layer.js";

export const activationLayer: LayerDefinition = {
  className: "Activation",
  prepare(config) {
    const activation = readActivation(config);
    return (inputs, call) => {
      const held = only(inputs, call);
      const lastAxis = heldAxis(held, rankOf(held) - 1);
      return { value: activate(call, held.value, activation, lastAxis), layout: held.layout };
    };
  },
};

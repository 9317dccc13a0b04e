// TimeDistributed around a layer that treats samples apart: time steps become samples.

import { productDim } from "../dims.js";
import type { Held } from "../held.js";
import { only, type LayerDefinition } from "../layer.js";

export const timeDistributed: LayerDefinition = {
  className: "TimeDistributed",

  /** `y[n, t] = layer(x[n, t])`; its weights bear the wrapper's name, as tfjs names them */
  prepare(config, inner) {
    const layer = inner.prepare(config.get("layer"), config.where);

    return (inputs, call) => {
      const x = call.asIs(only(inputs, call));
      const [batch, steps, ...rest] = x.shape;
      if (batch === undefined || steps === undefined || rest.length === 0) {
        return call.failModel(`got an input of rank ${x.shape.length}, expected at least 3`);
      }
      // Over the last axis Dense treats all others alike.
      if (layer.className === "Dense") return layer.emit([{ value: x, layout: "as-is" }], call);
      const samples = productDim([batch, steps]);
      const flat = call.reshape(x, "samples", [samples, ...rest]);
      const result: Held = layer.emit([{ value: flat, layout: "as-is" }], call.within("step"));
      const y = call.asIs(result);
      return { value: call.reshape(y, "", [batch, steps, ...y.shape.slice(1)]), layout: "as-is" };
    };
  },
};

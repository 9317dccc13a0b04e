// Embedding: rows of a table.

import { readConstraint } from "../constraints.js";
import { only, type LayerDefinition } from "../layer.js";

export const embedding: LayerDefinition = {
  className: "Embedding",
  takesIntegers: true,

  /** `y[..., d] = table[x[...], d]`; a float x is cut to an integer, as in tfjs */
  prepare(config) {
    const rows = config.positiveInt("inputDim");
    const columns = config.positiveInt("outputDim");
    const masks = config.boolean("maskZero", false);
    const constraint = readConstraint(config, "embeddingsConstraint");
    config.ignore("embeddingsInitializer", "embeddingsRegularizer", "inputLength");
    config.neutral("sparse", false);
    config.neutral("loraRank");

    return (inputs, call) => {
      const x = call.asIs(only(inputs, call));
      if (masks) call.writer.maskSources.push(call.where);
      const weight = call.weight("embeddings", [rows, columns], constraint);
      const table = call.constant("embeddings", () => weight);
      const indices =
        x.dtype === "int32"
          ? x
          : call.node("Cast", [x], "indices", x.shape, { to: INT32 }, { dtype: "int32" });
      const shape = [...x.shape, columns];
      return { value: call.node("Gather", [table, indices], "", shape, { axis: 0 }), layout: "as-is" };
    };
  },
};

/** ONNX's number for int32. */
const INT32 = 6;

// Layers that only act in training: at inference tfjs returns their input, and so do they here, without
// a node. Dropout and its kin.

import { only, type LayerDefinition } from "../layer.js";

export const dropout: LayerDefinition = identity("Dropout", ["rate", "noiseShape", "seed"]);
export const spatialDropout1D: LayerDefinition = identity("SpatialDropout1D", ["rate", "noiseShape", "seed"]);
export const gaussianNoise: LayerDefinition = identity("GaussianNoise", ["stddev", "seed"]);
export const gaussianDropout: LayerDefinition = identity("GaussianDropout", ["rate", "seed"]);
export const alphaDropout: LayerDefinition = identity("AlphaDropout", ["rate", "noiseShape", "seed"]);

function identity(className: string, keys: readonly string[]): LayerDefinition {
  return {
    className,
    takesIntegers: true,
    prepare(config) {
      config.ignore(...keys);
      return only;
    },
  };
}

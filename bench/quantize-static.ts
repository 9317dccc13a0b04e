// onnxruntime's own quantize_static as a peer: one width of weights in all layers, activations of 8 bits.

import type { PeerDefinition } from "./peer.js";

export const QUANTIZE_STATIC: PeerDefinition = {
  name: "quantize_static",
  // The onnxruntime is that of the versions that the bench runs files on.
  packages: ["onnxruntime==1.30.0", "onnx==1.23.2"],
  modules: [],
  script: ["onnxruntime", "quantize_static.py"],
  cache: "quantize-static",
  /** Its calibrators. */
  recipes: () => ["MinMax", "Entropy", "Percentile"],
  bits: [
    [8, 8],
    [4, 8],
  ],
  optimization: "all",
  fileName: (recipe, [weightBits]) => `${recipe}-${weightBits}.onnx`,
};

// AIMET's post-training quantization as a peer: all that it does to weights of a network, two schemes of ranges. AdaRound
// takes 15,000 steps a layer, which is half an hour to hours of a processor for one list of images.

import { bitsName } from "./networks.js";
import type { PeerDefinition } from "./peer.js";

export const AIMET: PeerDefinition = {
  name: "AIMET",
  packages: ["aimet-onnx==2.42.0", "torch==2.15.0", "onnxruntime==1.30.0", "onnx==1.23.2"],
  modules: ["aimet_onnx"],
  script: ["aimet", "quantize.py"],
  cache: "aimet",
  recipes: ([weightBits]) =>
    ["", "sequential-", ...(weightBits < 8 ? ["adaround-"] : [])]
      .flatMap((fit) => [fit, `${fit}equalized-`])
      .flatMap((prepared) => [`${prepared}min-max`, `${prepared}sqnr`]),
  bits: [
    [8, 8],
    [4, 8],
    [4, 4],
  ],
  fileName: (recipe, bits) => `${recipe}-${bitsName(bits).toLowerCase()}.onnx`,
};

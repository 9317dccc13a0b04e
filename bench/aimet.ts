// AIMET's post-training quantization as a peer: all that it does to weights of a network, two schemes of ranges. AdaRound
// takes 15,000 steps a layer, which is hours of two cores: it is among the recipes where BENCH_ADAROUND=1 asks for it.

import { bitsName } from "./networks.js";
import type { PeerDefinition } from "./peer.js";

const ADAROUND_STEPS = process.env["BENCH_ADAROUND"] === "1" ? 15_000 : 0;

export const AIMET: PeerDefinition = {
  name: "AIMET",
  packages: ["aimet-onnx==2.42.0", "torch==2.15.0", "onnxruntime==1.30.0", "onnx==1.23.2"],
  modules: ["aimet_onnx"],
  script: ["aimet", "quantize.py"],
  arguments: [String(ADAROUND_STEPS)],
  cache: "aimet",
  recipes: ([weightBits]) =>
    ["", "sequential-", ...(weightBits < 8 && ADAROUND_STEPS > 0 ? ["adaround-"] : [])]
      .flatMap((fit) => [fit, `${fit}equalized-`])
      .flatMap((prepared) => [`${prepared}min-max`, `${prepared}sqnr`]),
  bits: [
    [8, 8],
    [4, 8],
    [4, 4],
  ],
  // Its 8-bit weights are not made for processors that add pairs of products in 16 bits.
  optimization: "none",
  fileName: (recipe, bits) => `${recipe}-${bitsName(bits).toLowerCase()}.onnx`,
};

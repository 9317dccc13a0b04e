// AIMET's post-training quantization as a peer: what it does to weights of a network, two schemes of ranges. Weights are
// rounded to nearest, equalized across layers first or not; BENCH_AIMET=nearest,sequential,adaround adds its ranges by
// sequential MSE, which took half an hour of two cores for darknet-tiny, and AdaRound of 15,000 steps a layer: hours.

import { bitsName } from "./networks.js";
import type { PeerDefinition } from "./peer.js";

const FITS = (process.env["BENCH_AIMET"] ?? "nearest").split(",");

export const AIMET: PeerDefinition = {
  name: "AIMET",
  packages: ["aimet-onnx==2.42.0", "torch==2.15.0", "onnxruntime==1.30.0", "onnx==1.23.2"],
  modules: ["aimet_onnx"],
  script: ["aimet", "quantize.py"],
  arguments: FITS,
  cache: "aimet",
  recipes: ([weightBits]) =>
    FITS.filter((fit) => fit !== "adaround" || weightBits < 8)
      .map((fit) => (fit === "nearest" ? "" : `${fit}-`))
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

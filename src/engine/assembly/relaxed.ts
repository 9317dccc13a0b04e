// Kernels of relaxed SIMD, whose results differ between machines: an engine tests what it gets and uses what is exact.

export { convolutionEach, convolutionOnce, convolutionPairs } from "./convolution-pairs";
export { convolutionQuads, convolutionSigned, fourProducts } from "./convolution-quads";
export { depthwiseOnce, depthwisePairs, twoProducts } from "./depthwise-pairs";
export { depthwiseQuads, depthwiseSigned } from "./depthwise-quads";
export { maddAdd, multiplyAdd } from "./fused-add";
export { selectLookUp } from "./selected-table";

// The module of every machine: WebAssembly SIMD of 128 bits, as all browsers have it.

export { convolution } from "./convolution";
export { depthwise } from "./depthwise";
export { fusedAdd, integerAdd, lookUp, product, quantize } from "./elementwise";
export { copy, fill, planes } from "./movement";
export { largestPairs, listPositions, pack, shiftWeights } from "./packing";
export { lookUpPixels } from "./pixels";
export { largest, mean, total } from "./pooling";

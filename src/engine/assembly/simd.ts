// The module of every machine: WebAssembly SIMD of 128 bits, as all browsers have it.

export { convolution } from "./convolution";
export { depthwise } from "./depthwise";
export { fusedAdd, integerAdd, lookUp, product, quantize } from "./elementwise";
export { copy, fill } from "./movement";
export { largest, mean, total } from "./pooling";

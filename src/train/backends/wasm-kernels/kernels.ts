// The kernels that training adds to, or puts in place of, those of tfjs's WebAssembly backend. One file a kernel
// or a family; a new one is one line here.

import { averagePoolGradient } from "./average-pool-gradient.js";
import { batchMatMul } from "./batch-mat-mul.js";
import { binaryKernels } from "./binary.js";
import { cast, identity } from "./identity.js";
import { concat } from "./concat.js";
import { conv2dFilterGradient } from "./conv2d-filter-gradient.js";
import { conv2dInputGradient } from "./conv2d-input-gradient.js";
import { depthwiseFilterGradient } from "./depthwise-filter-gradient.js";
import { depthwiseInputGradient } from "./depthwise-input-gradient.js";
import type { WasmKernel } from "./heap.js";
import { logical } from "./logical.js";
import { maxPoolGradient } from "./max-pool-gradient.js";
import { prelu } from "./prelu.js";
import { samePadding } from "./same-padding.js";
import { select } from "./select.js";
import { slice, split } from "./slice.js";
import { sum } from "./sum.js";
import { unsortedSegmentSum } from "./unsorted-segment-sum.js";

export const WASM_KERNELS: readonly WasmKernel[] = [
  // Missing in tfjs.
  conv2dFilterGradient,
  depthwiseFilterGradient,
  depthwiseInputGradient,
  unsortedSegmentSum,
  // Wrong in tfjs.
  averagePoolGradient,
  maxPoolGradient,
  prelu,
  ...samePadding,
  // Slow in tfjs.
  batchMatMul,
  ...binaryKernels,
  cast,
  concat,
  conv2dInputGradient,
  identity,
  ...logical,
  select,
  slice,
  split,
  sum,
];

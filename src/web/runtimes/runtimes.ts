// The explicit list of what runs models on a page, in the order in which `auto` tries them.

import { engine } from "./engine.js";
import { onnxruntimeWasm, onnxruntimeWebgpu } from "./onnxruntime.js";
import type { WebRuntime } from "./web-runtime.js";

/** That the engine comes before WebGPU is a choice without a measurement on a GPU. */
export const WEB_RUNTIMES: readonly WebRuntime[] = [engine, onnxruntimeWebgpu, onnxruntimeWasm];

import type { Runtime } from "./runtime.js";
export const webgpuRuntime = null as unknown as Runtime;

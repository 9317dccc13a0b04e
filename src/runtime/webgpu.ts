// ONNX Runtime's native WebGPU provider in Node: the form of the file that a browser's GPU runs, without a browser.
// A node that it has no kernel for is an error, never a detour by the CPU.

import { QdgError } from "../base/error.js";
import { INSTALL_NATIVE_ORT, openNative } from "./native-ort.js";
import { nameOf, ortOptions } from "./onnx-session.js";
import type { Availability, ModelSource, Runtime, RuntimeOptions, Session } from "./runtime.js";
import { checkAdapter } from "./webgpu/adapter-check.js";
import { explainedFallback } from "./webgpu/cpu-fallback.js";
import { type AdapterChoice, adapterChoices, takeAdapter } from "./webgpu/vulkan.js";

const NO_DRIVER =
  "there is no Vulkan driver: none in /usr/share/vulkan/icd.d or /etc/vulkan/icd.d, and no Chromium, which brings one";
const GET_ADAPTER =
  "install a graphics driver with Vulkan and libvulkan1 (Debian, Ubuntu), or Chromium for its software adapter, or " +
  "set VK_ICD_FILENAMES to a driver's .json file; browser-webgpu runs the same file in a browser";

type Found =
  | { readonly choice: AdapterChoice; readonly version: string }
  | { readonly choice: null; readonly reason: string; readonly remedy: string };

let found: Promise<Found> | null = null;

/** `webgpu`: the first adapter of adapterChoices that passes its check; looked for once a process. */
export const webgpuRuntime: Runtime = {
  name: "webgpu",

  async probe(): Promise<Availability> {
    const adapter = await (found ??= findAdapter());
    if (adapter.choice) return { available: true, version: adapter.version };
    const { reason, remedy } = adapter;
    return { available: false, reason, remedy };
  },

  async open(model: ModelSource, options: RuntimeOptions = {}): Promise<Session> {
    const ort = ortOptions("webgpu", options);
    const adapter = await (found ??= findAdapter());
    if (!adapter.choice) {
      throw new QdgError("unavailable", "runtime webgpu", `${adapter.reason}; ${adapter.remedy}`);
    }
    takeAdapter(adapter.choice);
    try {
      return await openNative("webgpu", model, ort, options, INSTALL_NATIVE_ORT);
    } catch (thrown) {
      throw explainedFallback(thrown, nameOf(model));
    }
  },
};

async function findAdapter(): Promise<Found> {
  const choices = adapterChoices();
  const reasons: string[] = [];
  for (const choice of choices) {
    const verdict = await checkAdapter(choice);
    if (verdict.works) {
      return { choice, version: `onnxruntime-node ${verdict.version}, ${choice.description}` };
    }
    const { fault, problem } = verdict;
    if (fault === "runtime") return { choice: null, reason: problem, remedy: INSTALL_NATIVE_ORT };
    reasons.push(`${choice.description}: ${problem}`);
  }
  return {
    choice: null,
    reason: reasons.length > 0 ? reasons.join("; ") : NO_DRIVER,
    remedy: GET_ADAPTER,
  };
}

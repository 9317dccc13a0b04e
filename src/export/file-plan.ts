// Which files an export writes: cpu and wasm share one, webgpu has another.

import type { CompleteExportOptions, HostTarget, Target } from "./options.js";

export interface PlannedFile {
  readonly path: string;
  /** ["webgpu"], or targets that run the same file. */
  readonly targets: readonly ["webgpu"] | readonly HostTarget[];
}

/**
 * The first has the name that was asked for. A file for webgpu beside another is `<name without .onnx>.webgpu.onnx`.
 * A plain float32 file is the same for all targets.
 */
export function plannedFiles(
  options: Pick<CompleteExportOptions, "output" | "targets">,
): [PlannedFile, ...PlannedFile[]] {
  const { output, targets } = options;
  const hosts = targets.filter((target) => target !== "webgpu");
  if (hosts.length === 0) return [{ path: output, targets: ["webgpu"] }];
  const first = { path: output, targets: hosts };
  if (hosts.length === targets.length) return [first];
  return [first, { path: `${output.replace(/\.onnx$/i, "")}.webgpu.onnx`, targets: ["webgpu"] }];
}

export function isForWebgpu(targets: readonly Target[]): targets is readonly ["webgpu"] {
  return targets[0] === "webgpu";
}

// The page, the model in models/shapes exported for all targets, and sites made of them: what tests of deployment
// start from. Built from source each time, so that no test sees yesterday's page.

import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DeployOptions, type DeployResult, deploySite } from "../../src/deploy/site.js";
import { exportModel } from "../../src/export/export-model.js";

const top = fileURLToPath(new URL("../../", import.meta.url));
export const SHAPES_MODEL: string = join(top, "models/shapes/model.json");

/** A folder of this test's own, under the system's temporary one. */
export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "qdg-deploy-"));
}

/** deploy/ as Vite builds it. */
export function buildPage(folder: string): string {
  const page = join(folder, "page");
  execFileSync(process.execPath, [join(top, "scripts/build-page.mjs"), page], { cwd: top, stdio: "pipe" });
  return page;
}

/** model.onnx, and model.webgpu.onnx where webgpu is among the targets. */
export async function exportShapes(
  folder: string,
  targets: readonly ("cpu" | "wasm" | "webgpu")[],
): Promise<string> {
  await mkdir(folder, { recursive: true });
  await exportModel({ model: SHAPES_MODEL, output: join(folder, "model.onnx"), targets });
  return folder;
}

/** A site in `root`: page, export and site each in a folder of its own. */
export async function deployShapes(
  root: string,
  targets: readonly ("cpu" | "wasm" | "webgpu")[],
  options: Partial<DeployOptions> = {},
): Promise<DeployResult> {
  const folder = await exportShapes(join(root, "out"), targets);
  return deploySite({ folder, to: join(root, "site"), pageFolder: buildPage(root), ...options });
}

// Where and with what a run was made: the machine, the versions, and a hash of the code that was measured.

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { availableParallelism, cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runtimeOf, VERSION } from "qdg";

/** The folder of package.json: out/bench-build, where this runs, is two levels below. */
export const PACKAGE_FOLDER: string = fileURLToPath(new URL("../../", import.meta.url));
/** What a user runs. */
export const CLI: string = join(PACKAGE_FOLDER, "dist", "cli", "main.js");
/** Files that are made once: models, exports, results of long parts. */
export const CACHE_FOLDER: string = join(PACKAGE_FOLDER, "out", "bench");
export const RESULTS_FOLDER: string = join(PACKAGE_FOLDER, "bench", "results");
/** Models and images that are not part of the package; they may be absent. */
export const SHARED_FOLDER: string = join(PACKAGE_FOLDER, "..", "shared");

export interface Environment {
  /** "Intel(R) Xeon(R) Processor, 2 cores, 24 GB, linux x64" */
  readonly machine: string;
  /** "qdg 0.1.0, node 20.20.2, onnxruntime-node 1.30.0, ..." */
  readonly versions: string;
  /** Of the built package, as hexadecimal digits. */
  readonly code: string;
}

export async function environment(): Promise<Environment> {
  const runtimes = await Promise.all(
    (["cpu", "wasm", "float"] as const).map(async (name) => {
      const found = await (await runtimeOf(name)).probe();
      return found.available ? found.version : `${name} not available`;
    }),
  );
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  return {
    machine: `${model}, ${availableParallelism()} cores, ${gigabytes} GB, ${process.platform} ${process.arch}`,
    versions: [`qdg ${VERSION}`, `node ${process.versions.node}`, ...runtimes].join(", "),
    code: await hashOfFolders([join(PACKAGE_FOLDER, "dist"), join(PACKAGE_FOLDER, "proto")]),
  };
}

/** Twelve hexadecimal digits over the names and bytes of all files in the folders and below. */
export async function hashOfFolders(folders: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const folder of folders) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const paths = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    for (const path of paths.sort()) {
      hash
        .update(path.slice(folder.length))
        .update("\0")
        .update(await readFile(path));
    }
  }
  return hash.digest("hex").slice(0, 12);
}

/** Of the model.json at `path` and what lies beside it. */
export function hashOfModel(path: string): Promise<string> {
  return hashOfFolders([dirname(path)]);
}

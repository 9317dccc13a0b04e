// A Python environment of the bench's own with the packages of a peer, made at the first call on a machine. Where that
// cannot be made there is a reason to skip, never an error.

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { kept } from "./cache.js";
import { CACHE_FOLDER } from "./environment.js";

const run = promisify(execFile);

export interface Python {
  /** Of its packages and their versions; for names of folders. */
  readonly name: string;
  /** The program. */
  readonly path: string;
  /** "onnxruntime 1.30.0, onnx 1.23.2" */
  readonly versions: string;
}

/**
 * @param packages as "onnx==1.23.2"
 * @param modules that have to be importable: a package may be installed where a library of it does not load
 */
export async function openPython(
  packages: readonly string[],
  modules: readonly string[] = [],
): Promise<Python | { readonly missing: string }> {
  const name = packages.join("-").replaceAll("==", "-");
  const folder = join(CACHE_FOLDER, "python", name);
  const path = join(folder, "bin", "python");
  try {
    await kept(`${folder}.json`, async () => {
      await run("python3", ["-m", "venv", "--clear", folder]);
      await run(path, ["-m", "pip", "install", "--quiet", ...packages]);
      for (const module of modules) await run(path, ["-c", `import ${module}`]);
      return { packages };
    });
  } catch (thrown) {
    const { stderr, message } = thrown as Error & { stderr?: string };
    const reason = (stderr?.trim() || message).split("\n").at(-1) ?? "";
    return { missing: `${packages.join(" and ")} cannot be had with Python and pip: ${reason}` };
  }
  return { name, path, versions: packages.join(", ").replaceAll("==", " ") };
}

// An npm package of a peer in a folder of the bench's own, fetched at the first call on a machine: it is no dependency of
// qdg's. Where it cannot be had there is a reason to skip, never an error.

import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { kept } from "./cache.js";
import { CACHE_FOLDER } from "./environment.js";

export interface NpmPackage {
  /** Its node_modules. */
  readonly folder: string;
}

/** @param version exactly one, as "2.5.3" */
export async function openNpmPackage(
  name: string,
  version: string,
): Promise<NpmPackage | { readonly missing: string }> {
  const folder = join(CACHE_FOLDER, "npm", `${name.replace("@", "").replace("/", "-")}-${version}`);
  try {
    await kept(`${folder}.json`, async () => {
      await mkdir(folder, { recursive: true });
      const flags = ["--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"];
      await promisify(execFile)("npm", ["install", ...flags, `${name}@${version}`]);
      return { name, version };
    });
  } catch (thrown) {
    const { stderr, code } = thrown as NodeJS.ErrnoException & { readonly stderr?: string };
    // npm's own word for it, or the system's: what both say further on has addresses and paths in it.
    const reason = /npm error code (\w+)/.exec(stderr ?? "")?.[1] ?? `error ${code}`;
    return { missing: `${name} ${version} cannot be had with npm: ${reason}` };
  }
  return { folder: join(folder, "node_modules") };
}

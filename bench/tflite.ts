// Float32 .tflite files of the bench's networks, made by litert/to_tflite.py in a Python environment of the bench's own, from
// the same weights. Where that cannot be had there is a reason to skip, never an error.

import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { kept } from "./cache.js";
import { CACHE_FOLDER, hashOfFolders, hashOfModel, PACKAGE_FOLDER } from "./environment.js";
import type { Network } from "./networks.js";
import { openPython } from "./python.js";

const PACKAGES: readonly string[] = ["tensorflow-cpu==2.21.0"];
const SCRIPTS = join(PACKAGE_FOLDER, "bench", "litert");

export interface Tflite {
  readonly path: string;
  /** Of what made it. */
  readonly versions: string;
}

export async function tfliteOf({ name, model }: Network): Promise<Tflite | { readonly missing: string }> {
  const python = await openPython(PACKAGES, ["tensorflow"]);
  if ("missing" in python) return python;
  const folder = join(
    CACHE_FOLDER,
    "tflite",
    `${await hashOfFolders([SCRIPTS])}-${await hashOfModel(model)}`,
  );
  const path = join(folder, `${name}.tflite`);
  await kept(join(folder, `${name}.json`), async () => {
    await mkdir(folder, { recursive: true });
    await promisify(execFile)(python.path, [join(SCRIPTS, "to_tflite.py"), model, path]);
    return { versions: python.versions };
  });
  return { path, versions: python.versions };
}

// Files of another post-training quantizer, made by its script in a Python environment of the bench's own. Where that
// cannot be had there is a reason to skip, never an error.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Tensor } from "qdg";
import { kept } from "./cache.js";
import { CACHE_FOLDER, hashOfFolders, PACKAGE_FOLDER } from "./environment.js";
import type { Bits } from "./networks.js";
import { writeNpy } from "./npy.js";
import { openPython, type Python } from "./python.js";

const run = promisify(execFile);

export interface PeerDefinition {
  /** As rows call it. */
  readonly name: string;
  /** As "onnx==1.23.2". */
  readonly packages: readonly string[];
  /** That its script imports: a package may be installed where it does not run. */
  readonly modules: readonly string[];
  /** Below bench/: `python script float.onnx calibration.npy folder` writes files of all recipes and bits. */
  readonly script: readonly [folder: string, file: string];
  /** Of the script, after its folder. */
  readonly arguments?: readonly string[];
  /** Where its files are kept. */
  readonly cache: string;
  /** Ways to quantize, of which the best counts. */
  recipes(bits: Bits): readonly string[];
  /** That it supports. */
  readonly bits: readonly Bits[];
  /** "none": its files are run operator by operator, as it simulates them, and no kernel of integers takes their place. */
  readonly optimization: "all" | "none";
  /** The name of a file in the folder. */
  fileName(recipe: string, bits: Bits): string;
}

export interface Peer extends Omit<
  PeerDefinition,
  "cache" | "script" | "arguments" | "packages" | "modules"
> {
  /** "onnxruntime 1.30.0, onnx 1.23.2" */
  readonly versions: string;
  /** Files of one float file and one list of images, made once: their folder. */
  files(floatFile: string, images: readonly Tensor<"float32">[]): Promise<string>;
}

export async function openPeer(definition: PeerDefinition): Promise<Peer | { readonly missing: string }> {
  const python = await openPython(definition.packages, definition.modules);
  if ("missing" in python) return python;
  return {
    ...definition,
    versions: python.versions,
    files: (floatFile, images) => filesOf(definition, python, floatFile, images),
  };
}

async function filesOf(
  { cache, script: [scripts, script], arguments: own = [] }: PeerDefinition,
  { name, path }: Python,
  floatFile: string,
  images: readonly Tensor<"float32">[],
): Promise<string> {
  const scriptFolder = join(PACKAGE_FOLDER, "bench", scripts);
  // What went in, not where it lies: another version of qdg writes the same float file.
  const hash = createHash("sha256").update(await readFile(floatFile));
  for (const { data } of images) hash.update(data);
  const parts = [await hashOfFolders([scriptFolder]), hash.digest("hex").slice(0, 12), ...own];
  const key = parts.join("-");
  const folder = join(CACHE_FOLDER, cache, name, key);
  await kept(`${folder}.json`, async () => {
    await mkdir(folder, { recursive: true });
    const temporary = await mkdtemp(join(CACHE_FOLDER, `${cache}-`));
    try {
      const samples = join(temporary, "calibration.npy");
      const sample = images[0]?.data.length ?? 0;
      const all = new Float32Array(images.length * sample);
      images.forEach(({ data }, i) => all.set(data, i * sample));
      await writeNpy(samples, [images.length, ...(images[0]?.shape.slice(1) ?? [])], all);
      await run(path, [join(scriptFolder, script), floatFile, samples, folder, ...own], {
        maxBuffer: 2 ** 26,
      });
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
    return { images: images.length };
  });
  return folder;
}

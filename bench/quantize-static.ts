// Files of onnxruntime's own quantize_static, made by onnxruntime/quantize_static.py in a Python environment of the
// bench's own.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Tensor } from "qdg";
import { kept } from "./cache.js";
import { CACHE_FOLDER, hashOfFolders, PACKAGE_FOLDER } from "./environment.js";
import { writeNpy } from "./npy.js";
import { openPython, type Python } from "./python.js";

const run = promisify(execFile);

/** The onnxruntime is that of the versions that the bench runs files on. */
const PACKAGES: readonly string[] = ["onnxruntime==1.30.0", "onnx==1.23.2"];
const SCRIPTS = join(PACKAGE_FOLDER, "bench", "onnxruntime");

export const CALIBRATORS = ["MinMax", "Entropy", "Percentile"] as const;
export type Calibrator = (typeof CALIBRATORS)[number];
/** Bits of weights that it supports; all layers have the same. */
export const STATIC_BITS = [8, 4] as const;
export type StaticBits = (typeof STATIC_BITS)[number];

export interface QuantizeStatic {
  /** "onnxruntime 1.30.0, onnx 1.23.2" */
  readonly versions: string;
  /** Files of one float file and one list of images, made once: a folder to hand to staticFile. */
  files(floatFile: string, images: readonly Tensor<"float32">[]): Promise<string>;
}

export function staticFile(folder: string, calibrator: Calibrator, bits: StaticBits): string {
  return join(folder, `${calibrator}-${bits}.onnx`);
}

export async function openQuantizeStatic(): Promise<QuantizeStatic | { readonly missing: string }> {
  const python = await openPython(PACKAGES);
  if ("missing" in python) return python;
  return {
    versions: python.versions,
    files: (floatFile, images) => quantizeStatic(python, floatFile, images),
  };
}

async function quantizeStatic(
  { name, path }: Python,
  floatFile: string,
  images: readonly Tensor<"float32">[],
): Promise<string> {
  // What went in, not where it lies: another version of qdg writes the same float file.
  const hash = createHash("sha256").update(await readFile(floatFile));
  for (const { data } of images) hash.update(data);
  const key = `${await hashOfFolders([SCRIPTS])}-${hash.digest("hex").slice(0, 12)}`;
  const folder = join(CACHE_FOLDER, "quantize-static", name, key);
  await kept(`${folder}.json`, async () => {
    await mkdir(folder, { recursive: true });
    const temporary = await mkdtemp(join(CACHE_FOLDER, "quantize-static-"));
    try {
      const samples = join(temporary, "calibration.npy");
      const sample = images[0]?.data.length ?? 0;
      const all = new Float32Array(images.length * sample);
      images.forEach(({ data }, i) => all.set(data, i * sample));
      await writeNpy(samples, [images.length, ...(images[0]?.shape.slice(1) ?? [])], all);
      await run(path, [join(SCRIPTS, "quantize_static.py"), floatFile, samples, folder], {
        maxBuffer: 2 ** 26,
      });
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
    return { images: images.length };
  });
  return folder;
}

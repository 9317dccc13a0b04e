// Writes drawn images as PNG files, a folder a class, for the commands that read images from a folder:
// node models/shapes/write-images.mjs [folder] [count] [seed]. Default: out/shapes, 140 images, seed 3.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { drawSet, SHAPE_IMAGE_SIZE, SHAPE_LABELS } from "../../dist/image/draw-shapes.js";

const [folder = "out/shapes", count = "140", seed = "3"] = process.argv.slice(2);
const { pixels, labels } = drawSet(Number(count), Number(seed));
const raw = { width: SHAPE_IMAGE_SIZE, height: SHAPE_IMAGE_SIZE, channels: 3 };
const bytes = raw.width * raw.height * raw.channels;
for (const label of SHAPE_LABELS) await mkdir(join(folder, label), { recursive: true });
for (const [i, label] of labels.entries()) {
  const path = join(folder, SHAPE_LABELS[label], `${String(i).padStart(5, "0")}.png`);
  await sharp(pixels.subarray(i * bytes, (i + 1) * bytes), { raw })
    .png()
    .toFile(path);
}
process.stderr.write(`${labels.length} images of ${SHAPE_LABELS.length} classes written to ${folder}\n`);

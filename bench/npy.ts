// Writes arrays as NumPy's .npy files: samples for models that see no images.

import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** Float32 array in C order, .npy format 1.0: magic, version, length of the header, header, data. */
export function encodeNpy(shape: readonly number[], data: Float32Array): Uint8Array {
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${dims}), }`;
  // The data begins at a multiple of 64.
  const header = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const bytes = new Uint8Array(10 + header.length + 4 * data.length);
  bytes.set([0x93, ...Buffer.from("NUMPY"), 1, 0, header.length & 0xff, header.length >> 8]);
  bytes.set(Buffer.from(header), 10);
  const view = new DataView(bytes.buffer, 10 + header.length);
  data.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return bytes;
}

export async function writeNpy(path: string, shape: readonly number[], data: Float32Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, encodeNpy(shape, data));
}

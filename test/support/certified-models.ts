// The shapes model exported for every target, labelled drawings of two domains, and runtimes made to be wrong.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import type { Tensor } from "../../src/base/tensor.js";
import { exportModel } from "../../src/export/export-model.js";
import { drawSet, SHAPE_IMAGE_SIZE, SHAPE_LABELS } from "../../src/image/draw-shapes.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import { runtimeOf } from "../../src/runtime/registry.js";
import type { Runtime, RuntimeName } from "../../src/runtime/runtime.js";

export const SHAPES_MODEL = "models/shapes/model.json";

/** model.onnx and model.webgpu.onnx of the shapes model in a folder. */
export async function exportShapes(folder: string): Promise<string> {
  const output = join(folder, "model.onnx");
  await exportModel({ model: SHAPES_MODEL, output, targets: ["cpu", "wasm", "webgpu"] });
  return folder;
}

/** `count` drawings as domain/class/image, in turn of the domains "plain" and "other". */
export async function writeDomains(folder: string, count: number): Promise<string> {
  const { pixels, labels } = drawSet(count, 7);
  const side = SHAPE_IMAGE_SIZE;
  for (const [i, label] of labels.entries()) {
    const place = join(folder, i % 2 === 0 ? "plain" : "other", SHAPE_LABELS[label] as string);
    await mkdir(place, { recursive: true });
    const data = pixels.subarray(i * side * side * 3, (i + 1) * side * side * 3);
    await sharp(data, { raw: { width: side, height: side, channels: 3 } })
      .png()
      .toFile(join(place, `${i}.png`));
  }
  return folder;
}

/** The CPU's results under another name, as `change` leaves them. */
export function changedCpu(
  name: RuntimeName,
  change: (results: Record<string, Tensor>) => void = () => undefined,
): (asked: RuntimeName) => Promise<Runtime> {
  const runtime: Runtime = {
    name,
    probe: () => Promise.resolve({ available: true, version: `cpu as <${name}>` }),
    async open(model, options) {
      const session = await cpuRuntime.open(model, options);
      return {
        inputs: session.inputs,
        outputs: session.outputs,
        async run(feeds) {
          const results = await session.run(feeds);
          change(results);
          return results;
        },
        dispose: () => session.dispose(),
      };
    },
  };
  return (asked) => (asked === name ? Promise.resolve(runtime) : runtimeOf(asked));
}

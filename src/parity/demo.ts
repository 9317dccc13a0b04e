// What `npm run demo` shows: the project's own model exported at the bits it was trained at, run on CPU and
// WebAssembly over images that code draws, compared with the reference and with the float model.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { noProgress, type Progress } from "../base/progress.js";
import { exportModel, type ExportResult } from "../export/export-model.js";
import { drawSet, SHAPE_IMAGE_SIZE, SHAPE_LABELS } from "../image/draw-shapes.js";
import { rangePreprocessing } from "../image/preprocessing.js";
import { imageToTensor } from "../image/to-tensor.js";
import { decodeModel } from "../onnx/codec.js";
import { compare } from "./compare.js";
import type { InputSource } from "./inputs.js";
import type { ParityReport } from "./report.js";

/** The model in `models/shapes`, as it is installed with the package. */
export const SHAPES_MODEL: string = fileURLToPath(new URL("../../models/shapes/model.json", import.meta.url));
/** Drawn images that training never saw: it takes seeds 1 and 2. */
const DEMO_SEED = 3;

export interface DemoResult {
  readonly exported: ExportResult;
  /** Size of the float weights, for comparison. */
  readonly floatBytes: number;
  readonly report: ParityReport;
}

/** @param output the ONNX file to write; replaced when it is there */
export async function runDemo(
  output: string,
  count: number,
  progress: Progress = noProgress,
): Promise<DemoResult> {
  const exported = await exportModel({ model: SHAPES_MODEL, output, force: true }, progress);
  const bytes = await readFile(output);
  const { weightsManifest } = JSON.parse(await readFile(SHAPES_MODEL, "utf8")) as {
    weightsManifest: { weights: { shape: number[] }[] }[];
  };
  const weights = weightsManifest.flatMap((group) => group.weights);
  const report = await compare({
    name: output,
    model: decodeModel(bytes, output),
    targets: ["cpu", "wasm"],
    float: { name: "models/shapes/model.json", runtime: "tfjs", source: { path: SHAPES_MODEL } },
    inputs: drawnInputs(count),
    intermediates: true,
    locate: false,
    labels: SHAPE_LABELS,
    progress,
  });
  const floatBytes = weights.reduce(
    (sum, { shape }) => sum + 4 * shape.reduce((size, dim) => size * dim, 1),
    0,
  );
  return { exported, floatBytes, report };
}

/** Drawn images as inputs with labels. */
export function drawnInputs(count: number, seed: number = DEMO_SEED): InputSource {
  return {
    description: `${count} drawn images`,
    count,
    async *read() {
      const { pixels, labels } = drawSet(count, seed);
      const size = SHAPE_IMAGE_SIZE;
      const bytesEach = size * size * 3;
      for (let i = 0; i < count; i++) {
        const data = pixels.subarray(i * bytesEach, (i + 1) * bytesEach);
        const image = { width: size, height: size, channels: 3 as const, data };
        const input = imageToTensor(image, {
          preprocessing: rangePreprocessing(0, 1),
          height: size,
          width: size,
          channels: 3,
          layout: "nhwc",
        });
        yield {
          name: `image ${i}`,
          label: SHAPE_LABELS[labels[i] as number] ?? null,
          group: "",
          feeds: { input },
        };
      }
    },
  };
}

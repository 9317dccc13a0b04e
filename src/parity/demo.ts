// What `npm run demo` shows: a network trained on drawn images with GAQAT, exported at the bits that it was trained
// at, run on CPU and WebAssembly over a style that training never saw, and compared integer by integer.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { QdgError } from "../base/error.js";
import { exportModel, type ExportResult } from "../export/export-model.js";
import type { Preprocessing } from "../image/preprocessing.js";
import { imageToTensor } from "../image/to-tensor.js";
import { decodeModel } from "../onnx/codec.js";
import type { BackendChoice } from "../train/backends/backends.js";
import { evaluationBatches } from "../train/data/batch.js";
import type { Dataset, Domain } from "../train/data/dataset.js";
import { openDataset } from "../train/data/open-dataset.js";
import { IntegerNetwork } from "../train/integer-network.js";
import { preprocessingOf } from "../model/layers-model-metadata.js";
import { loadLayersModel } from "../train/layers-model-file.js";
import { graphOf } from "../train/trainable-model.js";
import type { TrainObserver } from "../train/run/observer.js";
import { train, type TrainResult } from "../train/run/train.js";
import type { AskedTrainOptions } from "../train/run/train-options.js";
import { compare } from "./compare.js";
import type { InputSource } from "./inputs.js";
import type { ParityReport } from "./report.js";
import { compareTrained, type TrainedParity } from "./trained.js";

/** Small enough for two cores and WebAssembly alone. */
const OPTIONS = {
  data: "shapes-dg",
  testDomain: ["flat"],
  method: "gaqat",
  bits: 3,
  model: "resnet8",
  imageSize: 24,
  steps: 300,
  floatSteps: 150,
  batchSize: 16,
  shapesCount: 80,
  learningRate: 6e-3,
  evalEvery: 150,
  evalImages: 140,
} as const satisfies AskedTrainOptions;

/** Images that the reference interpreter runs: it is slow, and the whole domain is compared otherwise. */
const REFERENCE_IMAGES = 70;
const BATCH = 60;

export interface DemoResult {
  readonly trained: TrainResult;
  readonly exported: ExportResult;
  /** Size of the float weights, for comparison. */
  readonly floatBytes: number;
  /** The evaluated network against the file over the whole style that was held out. */
  readonly whole: readonly TrainedParity[];
  /** The file against the reference interpreter. */
  readonly report: ParityReport;
}

/** @param folder gets the run and `model.onnx`; an earlier demo in it is replaced */
export async function runDemo(
  folder: string,
  backend: BackendChoice,
  observer: TrainObserver,
): Promise<DemoResult> {
  const trained = await train({ options: { ...OPTIONS, backend }, out: folder, force: true, observer });
  const path = join(folder, "model.json");
  const output = join(folder, "model.onnx");
  const exported = await exportModel({ model: path, output, force: true }, observer.progress);
  const bytes = await readFile(output);
  const model = await loadLayersModel(path);
  const { imageSize, shapesCount, testDomain } = OPTIONS;
  const dataset = await openDataset(OPTIONS.data, { imageSize, shapes: { perClass: shapesCount } });
  const domain = dataset.domains.find(({ name }) => name === testDomain[0]);
  if (!domain) throw new QdgError("internal", "demo", `no domain ${testDomain[0]}`);
  const preprocessing = preprocessingOf(model);
  if (!preprocessing) throw new QdgError("internal", "demo", "training stored no preprocessing");

  const network = await IntegerNetwork.create(model);
  const whole: TrainedParity[] = [];
  for (const target of ["cpu", "wasm"] as const) {
    const images = Uint32Array.from({ length: domain.count }, (_, i) => i);
    const batches = evaluationBatches(domain, images, imageSize, BATCH, preprocessing);
    whole.push(await compareTrained(network, bytes, target, batches));
  }
  network.dispose();
  const report = await compare({
    name: output,
    model: decodeModel(bytes, output),
    targets: ["cpu", "wasm"],
    float: { name: path, path, engine: "tfjs" },
    inputs: imagesOf(dataset, domain, graphOf(model).inputs[0]?.name ?? "", preprocessing),
    intermediates: true,
    locate: false,
    layout: "nhwc",
    labels: dataset.classes,
    progress: observer.progress,
  });
  const floatBytes = [...model.weights.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  return { trained, exported, floatBytes, whole, report };
}

/** Images of a domain, evenly spaced, with the names of their classes. */
function imagesOf(
  { classes, imageSize }: Dataset,
  domain: Domain,
  input: string,
  preprocessing: Preprocessing,
): InputSource {
  const size = { height: imageSize, width: imageSize, channels: 3, layout: "nhwc" } as const;
  return {
    description: `${REFERENCE_IMAGES} images of ${domain.name}`,
    count: REFERENCE_IMAGES,
    async *read() {
      for (let i = 0; i < REFERENCE_IMAGES; i++) {
        const index = Math.floor((i * domain.count) / REFERENCE_IMAGES);
        const image = {
          width: imageSize,
          height: imageSize,
          channels: 3 as const,
          data: domain.image(index),
        };
        yield {
          name: domain.files[index] ?? `image ${index}`,
          label: classes[domain.labels[index] as number] ?? null,
          group: domain.name,
          feeds: { [input]: imageToTensor(image, { preprocessing, ...size }) },
        };
      }
    },
  };
}

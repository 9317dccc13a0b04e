// The network that a run evaluated against the file exported from it, over a whole domain: every quantized element.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { exportModel } from "qdg";
import * as train from "qdg/train";

export interface WholeDomain {
  readonly images: number;
  readonly elements: number;
  /** By target: elements that differ, predictions that differ, tensors of fewer than three levels. */
  readonly differ: Readonly<Record<string, number>>;
  readonly predictionsDiffer: Readonly<Record<string, number>>;
  readonly dead: readonly string[];
}

const BATCH = 100;

/** @param folder of a finished run */
export async function wholeDomainParity(
  folder: string,
  data: string,
  domainName: string,
  imageSize: number,
): Promise<WholeDomain> {
  await train.useBackend("auto");
  const path = join(folder, "model.json");
  const output = join(folder, "model.onnx");
  await exportModel({ model: path, output, force: true });
  const bytes = await readFile(output);
  const model = await train.loadLayersModel(path);
  const network = await train.IntegerNetwork.create(model);
  const dataset = await train.openDataset(data, { imageSize });
  const domain = dataset.domains.find(({ name }) => name === domainName);
  if (!domain) throw new Error(`${data} has no domain ${domainName}`);
  const indices = Uint32Array.from({ length: domain.count }, (_, i) => i);
  const preprocessing = train.preprocessingOf(model);
  if (!preprocessing) throw new Error(`${path} does not say how images become its input`);
  const found = [];
  for (const target of ["cpu", "wasm"] as const) {
    const batches = train.evaluationBatches(domain, indices, imageSize, BATCH, preprocessing);
    found.push(await train.compareTrained(network, bytes, target, batches));
  }
  network.dispose();
  const [first] = found;
  return {
    images: first?.images ?? 0,
    elements: first?.elements ?? 0,
    differ: Object.fromEntries(
      found.map(({ target, mismatches, unmatched }) => {
        if (unmatched.length > 0) throw new Error(`${output}: no partner for ${unmatched.join(", ")}`);
        return [target, Object.values(mismatches).reduce((sum, count) => sum + count, 0)];
      }),
    ),
    predictionsDiffer: Object.fromEntries(
      found.map(({ target, predictionsDiffer }) => [target, predictionsDiffer]),
    ),
    dead: found.flatMap(({ dead }) => dead),
  };
}

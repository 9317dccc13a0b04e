// Size of exported files against what their numbers must take.

import { readFile } from "node:fs/promises";
import { decodeModel, type ExportResult, modelToGraph } from "qdg";
import { type Bits, bitsName, exported, type NetworkName, openNetwork } from "../networks.js";
import type { Part, PartContext } from "../part.js";
import { type Row, skippedRow } from "../row.js";
import { type LayerSize, payloadBytes, sizeBound } from "../size-bound.js";

const NETWORKS: readonly NetworkName[] = ["mobilenet-v2-0.35", "darknet-tiny", "resnet-18"];
const BITS = [2, 3, 4, 5, 8] as const;
/** Few: how well scales are found does not change how many there are. */
const CALIBRATION_COUNT = 8;

export const sizePart: Part = {
  title: "Size of a file",
  method: () =>
    "Bar: 1.03 x (sum of bits x weights / 8 + 4 bytes a bias + 4 bytes a weight scale) + 40 kB (of 1000 bytes). Weights and biases are counted in the float32 export, bits of layers are those the export states; first and last layer at 8 bits.",
  async run(context) {
    const rows: Row[] = [];
    for (const name of NETWORKS) {
      for (const bits of BITS) rows.push(await sizeRow(name, [bits, bits], context));
    }
    return rows;
  },
};

async function sizeRow(name: NetworkName, bits: Bits, { code, reporter }: PartContext): Promise<Row> {
  const title = `${name}, ${bitsName(bits)}`;
  const network = await openNetwork(name);
  if ("missing" in network) return skippedRow(title, "", network.missing);
  const float = await exported(network, { float: true }, code, reporter);
  const [weightBits, activationBits] = bits;
  const options = { weightBits, activationBits, calibrationCount: CALIBRATION_COUNT, heldOutCount: 0 };
  const { result } = await exported(network, options, code, reporter);
  const layers = layerSizes(await readFile(float.path), result);
  const bound = sizeBound(layers);
  const payload = payloadBytes(layers);
  return {
    name: title,
    value: kilobytes(result.sizeBytes),
    bar: `<= ${kilobytes(bound)}`,
    reached: result.sizeBytes <= bound ? "yes" : "no",
    detail: `${(result.sizeBytes / bound).toFixed(3)} of the bar; numbers ${kilobytes(payload)}, all else ${kilobytes(result.sizeBytes - payload)}; ${(float.result.sizeBytes / result.sizeBytes).toFixed(2)} x smaller than float32 (${kilobytes(float.result.sizeBytes)})`,
  };
}

/** Weighted layers of a float32 file, with the bits that the quantized export gave them. */
function layerSizes(floatFile: Uint8Array, { bits }: ExportResult): LayerSize[] {
  const layers: LayerSize[] = [];
  for (const node of modelToGraph(decodeModel(floatFile)).nodes) {
    const weight = node.inputs[1]?.constant;
    if ((node.op !== "Conv" && node.op !== "Gemm") || !weight) continue;
    const [weightBits] = bits[node.origin] ?? [];
    if (!weightBits) throw new Error(`${node.origin}: the export states no bits for this layer`);
    // Both have the output channels first: Gemm is written with transB.
    layers.push({
      bits: weightBits,
      weights: weight.data.length,
      weightScales: weight.shape[0] as number,
      biases: node.inputs[2]?.constant?.data.length ?? 0,
    });
  }
  return layers;
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

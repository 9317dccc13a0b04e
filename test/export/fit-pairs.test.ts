// 8-bit weights in exported files: signed and fast where calibration found them, untouched where training did.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LayersModel } from "../../bench/models/layers-model.js";
import { resnet } from "../../bench/models/resnet.js";
import { exportModel, type ExportResult } from "../../src/export/export-model.js";
import { type ExportOptions, PTQ } from "../../src/export/options.js";
import { rangePreprocessing } from "../../src/image/preprocessing.js";
import { pairsFitInt16 } from "../../src/lower/pair-sums.js";
import { decodeModel } from "../../src/onnx/codec.js";
import { modelToGraph } from "../../src/onnx/to-graph.js";
import { float32 } from "../../src/base/tensor.js";
import { annotateWeights } from "../../src/export/annotate.js";
import { fitPairs } from "../../src/export/fit-pairs.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Value } from "../../src/graph/graph.js";
import { placeQuantizers } from "../../src/graph/place-quantizers.js";
import { recipeOf } from "../../src/graph/recipe.js";
import { quantize } from "../../src/quant/affine.js";
import { parseLearned } from "../../src/quant/learned.js";
import { activationSpec, type Quantization, weightSpec } from "../../src/quant/spec.js";
import { readModel } from "../../src/read/read-model.js";
import {
  madeUpScales,
  newFolder,
  removeFolder,
  SMALL,
  writeImages,
  writeLayersModel,
} from "../support/small-models.js";

let folder = "";
let images = "";
beforeAll(async () => {
  folder = await newFolder();
  images = await writeImages(join(folder, "images"), 14);
});
afterAll(() => removeFolder(folder));

/** Integers of one layer's weights as the file holds them. */
interface FileWeights {
  readonly layer: string;
  readonly dtype: string;
  readonly integers: Int32Array;
  readonly shape: readonly number[];
  readonly scale: Float32Array;
}

async function weightsOf(path: string): Promise<FileWeights[]> {
  const graph = modelToGraph(decodeModel(await readFile(path)));
  return graph.nodes.flatMap((node): FileWeights[] => {
    const stored = node.op === "DequantizeLinear" ? node.inputs[0]?.constant : undefined;
    const reader = graph.nodes.find(({ inputs }) => inputs[1] === node.outputs[0]);
    if (!stored || !reader || (stored.dtype !== "int8" && stored.dtype !== "uint8")) return [];
    const offset = stored.dtype === "uint8" ? 128 : 0;
    const integers = Int32Array.from(stored.data as Uint8Array, (q) => q - offset);
    const scale = node.inputs[1]?.constant?.data as Float32Array;
    return [{ layer: reader.origin, dtype: stored.dtype, integers, shape: stored.shape, scale }];
  });
}

/** Channels in odd numbers, so that pairs run over positions. */
const model: LayersModel = resnet({ ...SMALL, width: 5 });

async function exported(
  name: string,
  options: Partial<ExportOptions> = {},
  extra: Record<string, unknown> = {},
): Promise<{ result: ExportResult; weights: FileWeights[] }> {
  const path = await writeLayersModel(join(folder, name), model, extra);
  const output = join(folder, `${name}.onnx`);
  const result = await exportModel({
    model: path,
    output,
    preprocessing: rangePreprocessing(-1, 1),
    ...options,
  });
  return { result, weights: await weightsOf(output) };
}

function inner(weights: readonly FileWeights[]): FileWeights[] {
  return weights.slice(1, -1);
}

describe("calibrated 8-bit weights", () => {
  test.each(PTQ)("are all stored signed, and no pair can leave int16 (%s)", async (ptq) => {
    const { result, weights } = await exported(`fitted-${ptq}`, { bits: 8, calibration: [images], ptq });
    expect(weights.length).toBeGreaterThan(5);
    for (const { dtype, integers, shape } of weights) {
      expect(dtype).toBe("int8");
      expect(pairsFitInt16(integers, shape, 0, 255)).toBe(true);
    }
    // More than 7 bits would hold.
    expect(weights.some(({ integers }) => integers.some((q) => Math.abs(q) > 64))).toBe(true);
    expect(result.warnings.join()).not.toContain("unsigned");
  });

  test("on scales that are powers of two, too", async () => {
    const options = { bits: 8, calibration: [images], powerOfTwo: true };
    const { weights } = await exported("powers", options);
    for (const { dtype, scale } of weights) {
      expect(dtype).toBe("int8");
      expect(scale.every((s) => Number.isInteger(Math.log2(Math.abs(s))))).toBe(true);
    }
  });

  test("are nearer to the real ones where the caller wants them free, and the warning names the price", async () => {
    const { result, weights } = await exported("free", {
      bits: 8,
      calibration: [images],
      freeWeights: true,
    });
    const unsigned = weights.filter(({ dtype }) => dtype === "uint8").map(({ layer }) => layer);
    expect(unsigned.length).toBeGreaterThan(3);
    const warning = result.warnings.find((text) => text.includes("unsigned"));
    for (const layer of unsigned) expect(warning).toContain(layer);
  });

  test("stay free where inputs have so few bits that no pair can leave int16", async () => {
    // Each layer by itself: a fit looks at what the first one, of 8 bits, feeds the rest.
    const ptq = "nearest";
    const options = {
      weightBits: 8,
      activationBits: 4,
      firstLastBits: 8,
      calibration: [images],
      ptq,
    } as const;
    const [fitted, free] = [
      await exported("few", options),
      await exported("few-free", { ...options, freeWeights: true }),
    ];
    expect(inner(fitted.weights)).toEqual(inner(free.weights));
    expect(inner(fitted.weights).every(({ dtype }) => dtype === "int8")).toBe(true);
  });
});

function ofBits(bits: number): Quantization {
  return {
    spec: activationSpec(bits, "non-negative"),
    params: { scale: Float32Array.of(0.1), zeroPoint: new Int32Array(1) },
  };
}

/** x -> Conv of a weight that is 1 throughout; with a quantizer for the sum or without. */
function addConv(
  g: GraphBuilder,
  name: string,
  weight: Value,
  inputBits: number,
  isQuantized: boolean,
): void {
  const x = g.input(`${name}/x`, [1, 4, 3, 3]);
  x.quantization = ofBits(inputBits);
  const y = g.node("Conv", name, [x, weight], { name, shape: [1, 2, 3, 3] });
  if (isQuantized) y.quantization = ofBits(8);
}

function fittedFor(...readers: readonly (readonly [inputBits: number, isQuantized: boolean])[]): Value {
  const g = new GraphBuilder("test");
  const weight = g.constant("w", float32([2, 4, 1, 1], new Float32Array(8).fill(1)));
  readers.forEach(([bits, isQuantized], i) => addConv(g, `conv${i}`, weight, bits, isQuantized));
  const placements = placeQuantizers(g.graph, recipeOf({ weightBits: 8, firstLastBits: 8 }));
  annotateWeights(placements, null, false);
  fitPairs(g.graph, placements, null, false);
  return weight;
}

function largest({ integers }: Value): number {
  return Math.max(...(integers ?? [Number.NaN]));
}

test("a weight that several layers read keeps the narrowest limit among those that add in pairs", () => {
  expect(largest(fittedFor([4, true]))).toBeGreaterThan(64);
  expect(largest(fittedFor([8, true]))).toBeLessThanOrEqual(64);
  expect(largest(fittedFor([4, true], [8, true]))).toBeLessThanOrEqual(64);
  // A sum that stays real is computed in float, where nothing saturates.
  expect(largest(fittedFor([4, true], [8, false]))).toBeGreaterThan(64);
  expect(fittedFor([8, false]).integers).toBeUndefined();
});

test("learned 8-bit weights keep their integers: signed where they fit, else unsigned and named", async () => {
  const path = await writeLayersModel(join(folder, "float"), model);
  const qdg = (await madeUpScales(path, { weightBits: 8 })) as {
    quantizers: Record<string, { scale: number[] }>;
  };
  // So small that most weights of the layer clip at both ends.
  const clipping = Object.keys(qdg.quantizers).filter((name) => name.endsWith("/kernel"))[1] as string;
  const quantizer = qdg.quantizers[clipping] as { scale: number[] };
  quantizer.scale = quantizer.scale.map(() => 2 ** -13);
  const userDefinedMetadata = { qdg };
  const { result, weights } = await exported("learned", {}, { userDefinedMetadata });
  const learned = parseLearned(userDefinedMetadata);
  const { graph } = await readModel(path);
  let unsigned = 0;
  for (const { layer, dtype, integers, shape } of weights) {
    const node = graph.nodes.find(({ origin, inputs }) => origin === layer && inputs[1]?.constant);
    const weight = node?.inputs[1];
    const found = learned?.quantizers.get(weight?.name ?? "");
    if (!weight?.constant || !found) throw new Error(`${layer} has no learned weight`);
    const params = { scale: Float32Array.from(found.scale), zeroPoint: new Int32Array(shape[0] ?? 0) };
    const expected = quantize(weight.constant.data as Float32Array, shape, {
      spec: weightSpec(8, 0),
      params,
    });
    expect(integers).toEqual(expected);
    const fits = pairsFitInt16(expected, shape, 0, 255);
    expect(dtype).toBe(fits ? "int8" : "uint8");
    if (!fits) unsigned++;
    expect(result.warnings.some((text) => text.startsWith(`${layer}: 8-bit`))).toBe(!fits);
  }
  expect(unsigned).toBe(1);
});

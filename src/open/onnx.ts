// An ONNX file becomes a Model: the bytes with all tensors inside, and what the file says of itself.

import { createHash } from "node:crypto";
import { readBytes } from "../base/read-bytes.js";
import { type Graph, valuesOf } from "../graph/graph.js";
import type { Layout } from "../image/to-tensor.js";
import { readOnnxMetadata } from "../model/onnx-metadata.js";
import { decodeModel } from "../onnx/codec.js";
import { withExternalData } from "../onnx/whole-model.js";
import { withoutLabels } from "../read/onnx/class-labels.js";
import { withoutClassical } from "../read/onnx/classical.js";
import { inSingle } from "../read/onnx/half.js";
import { readOnnx } from "../read/onnx/read-onnx.js";
import { readPairs } from "../read/onnx/read-pairs.js";
import { isPairsModel } from "../read/onnx/unsupported.js";
import { type LearnedQuantizers, parseLearned } from "../quant/learned.js";
import { learnedAtBits, withStatistics } from "../quant/learned-bits.js";
import type { Model, OpenOptions } from "./open-model.js";

/**
 * @throws QdgError what decoding, {@link withExternalData}, {@link readOnnx} and {@link readPairs} throw; `invalid-onnx` for a damaged
 * fact in the file's metadata; `invalid-quantization` for learned scales that are none
 */
export async function openOnnx(path: string, { layout, bits }: OpenOptions): Promise<Model> {
  const bytes = withExternalData(await readBytes(path), path);
  const single = inSingle(decodeModel(bytes, path));
  const numbers = withoutLabels(single.model);
  const model = withoutClassical(numbers.model);
  const metadata = readOnnxMetadata(model.metadataProps ?? [], path);
  const carried =
    metadata.learned && parseLearned({ qdg: metadata.learned }, `${path}, metadata qdg.learned`);
  const { graph, learned, note } = isPairsModel(model)
    ? readPairs(model, path)
    : { ...atBits(readOnnx(model, path), carried, bits), note: null };
  return {
    path,
    graph,
    facts: {
      layout: metadata.layout ?? layout ?? layoutOf(graph),
      preprocessing: metadata.preprocessing,
      labels: metadata.labels ?? numbers.labels,
    },
    learned,
    sourceHash: createHash("sha256").update(bytes).digest("hex"),
    warnings: [single.warning, numbers.warning, note].flatMap((text) =>
      text === null ? [] : [`${path} ${text}`],
    ),
  };
}

/** The graph and its learned scales at the bits that are chosen, where there are several to choose from. */
function atBits(
  graph: Graph,
  carried: LearnedQuantizers | null,
  bits: number | undefined,
): { readonly graph: Graph; readonly learned: LearnedQuantizers | null } {
  if (!carried?.byBits || bits === undefined) return { graph, learned: carried };
  const { learned, statistics } = learnedAtBits(carried, bits, "--bits");
  const named = valuesOf(graph).flatMap(({ name, constant }) =>
    constant ? [[name, constant] as const] : [],
  );
  const constants = withStatistics(new Map(named), statistics);
  for (const value of valuesOf(graph)) {
    const constant = statistics.has(value.name) ? constants.get(value.name) : undefined;
    if (constant) value.constant = constant;
  }
  return { graph, learned };
}

/** By the channels of the one image input: 1, 3 or 4 on axis 1 or else on the last one; null where neither tells. */
function layoutOf({ inputs }: Graph): Layout | null {
  const images = inputs.filter(({ shape }) => shape.length === 4);
  const [image] = images;
  if (!image || images.length > 1) return null;
  const areChannels = (axis: number): boolean => [1, 3, 4].includes(image.shape[axis] as number);
  if (areChannels(1)) return "nchw";
  return areChannels(3) ? "nhwc" : null;
}

// What an exported file says of itself, found in its graph; how that is written is model/onnx-metadata's.

import { VERSION } from "../base/version.js";
import type { Graph, Value } from "../graph/graph.js";
import { consumers, inputOf, outputOf } from "../graph/graph.js";
import { kindOf, onlyRectifier } from "../graph/node-kinds.js";
import type { Lowered } from "../lower/lower.js";
import {
  type FormName,
  type OnnxMetadata,
  type ScalesMode,
  writeOnnxMetadata,
} from "../model/onnx-metadata.js";
import { outputKindOf } from "../model/output-kind.js";
import { type LearnedQuantizers, learnedToJson } from "../quant/learned.js";
import { qmax, qmin } from "../quant/spec.js";

/** What is known of a file before anything is quantized. */
export type FileFacts = Pick<OnnxMetadata, "source" | "layout" | "preprocessing" | "labels">;

/**
 * Metadata of a float file.
 *
 * @param network before it is lowered: what its outputs are is told by its operators
 * @param learned scales found for it, of a file that is to be exported
 */
export function floatMetadata(
  facts: FileFacts,
  network: Graph,
  learned: LearnedQuantizers | null = null,
): Record<string, string> {
  return writeOnnxMetadata({
    ...commonMetadata(facts, network),
    // Preprocessing and labels have keys of their own.
    learned:
      learned &&
      learnedToJson({
        quantizers: learned.quantizers,
        ...(learned.byBits && { byBits: learned.byBits }),
      }),
  });
}

/**
 * Metadata of a quantized file. In the float forms the integers are listed, since the file's types do not tell.
 *
 * @param network annotated, not lowered
 */
export function quantizedMetadata(
  facts: FileFacts,
  network: Graph,
  scales: ScalesMode,
  form: FormName,
  lowered: Lowered,
): Record<string, string> {
  return writeOnnxMetadata({
    ...commonMetadata(facts, network),
    bits: new Map(Object.entries(bitsByLayer(network))),
    scales,
    form,
    quantized:
      form === "integer"
        ? null
        : lowered.integers.map(({ name, quantization: { spec, params } }) => {
            const zeroPoint = params.zeroPoint[0] as number;
            return [name, qmin(spec) - zeroPoint, qmax(spec) - zeroPoint] as const;
          }),
  });
}

function commonMetadata(facts: FileFacts, { outputs }: Graph): OnnxMetadata {
  return {
    version: VERSION,
    ...facts,
    outputs: new Map(outputs.map((output) => [output.name, outputKindOf(output)])),
    bits: null,
    scales: null,
    form: null,
    quantized: null,
    learned: null,
  };
}

/** Weighted layers in order. */
export function bitsByLayer(graph: Graph): Record<string, [weightBits: number, activationBits: number]> {
  const bits: Record<string, [number, number]> = {};
  const uses = consumers(graph);
  for (const node of graph.nodes) {
    const kind = kindOf(node);
    if (kind !== "weighted" && kind !== "lookup") continue;
    const weight = inputOf(node, kind === "lookup" ? 0 : 1);
    const rectifier = onlyRectifier(graph, uses, outputOf(node));
    bits[node.origin] = [bitsOf(weight), bitsOf(outputOf(rectifier ?? node))];
  }
  return bits;
}

function bitsOf(value: Value): number {
  return value.quantization?.spec.bits ?? 0;
}

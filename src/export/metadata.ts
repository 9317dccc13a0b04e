// What an exported file says about itself, as ONNX metadata_props: strings by keys that begin with "qdg.".

import { VERSION } from "../base/version.js";
import type { Graph, Value } from "../graph/graph.js";
import { consumers, inputOf, outputOf } from "../graph/graph.js";
import { kindOf, onlyRectifier } from "../graph/node-kinds.js";
import { type Preprocessing, preprocessingToJson } from "../image/preprocessing.js";
import type { FormName } from "../lower/form.js";
import type { Lowered } from "../lower/lower.js";
import { qmax, qmin } from "../quant/spec.js";
import type { ScalesMode } from "./annotate.js";

export interface FileFacts {
  /** sha256 of the model that the file was made from */
  readonly source: string;
  readonly layout: "nhwc" | "nchw";
  readonly preprocessing: Preprocessing | null;
  readonly labels: readonly string[] | null;
}

/** Facts of every file, float ones too. */
export function commonMetadata(facts: FileFacts): Record<string, string> {
  return {
    "qdg.version": VERSION,
    "qdg.source": facts.source,
    "qdg.layout": facts.layout,
    ...(facts.preprocessing && {
      "qdg.preprocessing": JSON.stringify(preprocessingToJson(facts.preprocessing)),
    }),
    ...(facts.labels && { "qdg.labels": JSON.stringify(facts.labels) }),
  };
}

/**
 * Facts of a quantized file: `qdg.bits` is layer -> [weight bits, bits of its output (0: real)],
 * `qdg.scales` where scales come from, `qdg.form` how integers are carried. In the float forms
 * `qdg.quantized` lists [value, qmin - zeroPoint, qmax - zeroPoint] since the file's types do not tell.
 */
export function quantizedMetadata(
  facts: FileFacts,
  graph: Graph,
  scales: ScalesMode,
  form: FormName,
  lowered: Lowered,
): Record<string, string> {
  return {
    ...commonMetadata(facts),
    "qdg.bits": JSON.stringify(bitsByLayer(graph)),
    "qdg.scales": scales,
    "qdg.form": form,
    ...(form !== "integer" && {
      "qdg.quantized": JSON.stringify(
        lowered.integers.map(({ name, quantization: { spec, params } }) => {
          const zeroPoint = params.zeroPoint[0] as number;
          return [name, qmin(spec) - zeroPoint, qmax(spec) - zeroPoint];
        }),
      ),
    }),
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

// The float network of a model.json as qdg itself reads it: what judges where tfjs is known to be wrong, and what shows
// values inside the network. It shares the reader with an export of that model; what judges has seen no pass of an export.

import { floatFile } from "../export/float-file.js";
import { type Graph, valuesOf } from "../graph/graph.js";
import { QUANTIZED_PASSES, runPasses } from "../graph/passes/pipelines.js";
import { DEFAULT_OPSET } from "../onnx/opset.js";
import { referenceRuntime } from "../runtime/reference.js";
import type { Runtime, Session } from "../runtime/runtime.js";
import { type TfjsDeviation, tfjsDeviations } from "../runtime/tfjs-deviations.js";
import { readTfjsSource } from "../runtime/tfjs-network.js";

export interface FloatNetwork {
  readonly graph: Graph;
  /** Its layers at which tfjs computes something else. */
  readonly deviations: readonly TfjsDeviation[];
}

/** @throws QdgError what reading the model throws */
export async function readFloatNetwork(path: string): Promise<FloatNetwork> {
  const { graph, layers } = await readTfjsSource(path);
  const ranks = new Map(valuesOf(graph).map(({ name, shape }) => [name, shape.length]));
  const rankOf = (layer: string): number | null => ranks.get(layer) ?? null;
  return { graph, deviations: layers ? tfjsDeviations(layers, rankOf) : [] };
}

/** The network on the reference interpreter, inputs and outputs in tfjs's order and layout. */
export function openPlainly({ graph }: FloatNetwork): Promise<Session> {
  return referenceRuntime.open({ bytes: floatFile(graph, DEFAULT_OPSET) });
}

/** A float network that gives out some of its inner values. */
export interface OpenedNetwork {
  readonly session: Session;
  /** The float value that a quantized tensor stands for, by the tensor's name; absent where there is none. */
  readonly inner: ReadonlyMap<string, string>;
}

/**
 * @param tensors names of quantized tensors of a file made from this network
 * @param runtime that computes it
 */
export async function openInside(
  { graph }: Pick<FloatNetwork, "graph">,
  tensors: readonly string[],
  runtime: Runtime = referenceRuntime,
): Promise<OpenedNetwork> {
  // The names of quantized tensors are those after the passes of an export.
  const prepared = runPasses(graph, QUANTIZED_PASSES);
  const inner = innerValues(prepared, tensors);
  const bytes = floatFile(prepared, DEFAULT_OPSET, {}, [...inner.values()]);
  return { session: await runtime.open({ bytes }), inner };
}

function innerValues(graph: Graph, tensors: readonly string[]): Map<string, string> {
  const real = valuesOf(graph).filter(({ dtype, constant }) => dtype === "float32" && !constant);
  const names = new Set(real.map(({ name }) => name));
  return new Map(
    tensors.flatMap((tensor): [string, string][] => {
      // Integers of a value that the file holds as a real number too bear this suffix (lower/lower.ts).
      const name = names.has(tensor) ? tensor : tensor.replace(/\/quantized$/, "");
      return names.has(name) ? [[tensor, name]] : [];
    }),
  );
}

// The float network as a file: plain float32 ONNX for `--float`, and what calibration runs.

import { encodeModel } from "../onnx/codec.js";
import { graphToModel } from "../onnx/from-graph.js";
import { irVersionFor } from "../onnx/opset.js";
import { cloneGraph, type Graph, removeDeadNodes, valuesOf } from "../graph/graph.js";
import { FILE_PASSES, runPasses } from "../graph/passes/pipelines.js";
import { materializeFactors } from "../lower/materialize.js";
import { VERSION } from "../base/version.js";

/**
 * A float32 file of a graph; annotations are left out, folded factors multiplied in.
 *
 * @param extraOutputs names of inner values to output as well
 */
export function floatFile(
  graph: Graph,
  opset: number,
  metadata: Readonly<Record<string, string>> = {},
  extraOutputs: readonly string[] = [],
): Uint8Array {
  const copy = cloneGraph(graph);
  const byName = new Map(valuesOf(copy).map((value) => [value.name, value]));
  for (const name of extraOutputs) {
    const value = byName.get(name);
    if (value && !copy.outputs.includes(value) && !copy.inputs.includes(value)) copy.outputs.push(value);
  }
  materializeFactors(copy);
  const expanded = runPasses(copy, FILE_PASSES);
  removeDeadNodes(expanded);
  return encodeModel(
    graphToModel(expanded, { opset, irVersion: irVersionFor(opset), producerVersion: VERSION, metadata }),
  );
}

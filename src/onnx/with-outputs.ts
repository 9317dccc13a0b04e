// The same model with more outputs: how inner values are looked at on any runtime.

import { QdgError } from "../base/error.js";
import type { DType } from "../base/tensor.js";
import { DATA_TYPE } from "./data-type.js";
import type { ModelProto } from "./model-proto.js";

/**
 * `model` whose graph also gives out `values`, after the outputs that it has; those that are outputs already
 * stay where they are.
 *
 * @throws QdgError `invalid-onnx` for a name that no node of the graph computes
 */
export function withOutputs(
  model: ModelProto,
  values: readonly { readonly name: string; readonly dtype: DType }[],
): ModelProto {
  const { graph } = model;
  if (!graph) throw new QdgError("invalid-onnx", "ONNX model", "has no graph");
  const present = new Set((graph.output ?? []).map((output) => output.name));
  const computed = new Set((graph.node ?? []).flatMap((node) => node.output ?? []));
  const added = values
    .filter(({ name }) => !present.has(name))
    .map(({ name, dtype }) => {
      if (!computed.has(name)) {
        throw new QdgError(
          "invalid-onnx",
          name,
          "no node of the graph computes it, so it cannot be given out",
        );
      }
      return { name, type: { tensorType: { elemType: DATA_TYPE[dtype] } } };
    });
  return { ...model, graph: { ...graph, output: [...(graph.output ?? []), ...added] } };
}

// What a bare ONNX file says about itself: its metadata, and which operators its outputs come of.

import { UNKNOWN_SHAPE } from "../graph/unknown-shape.js";
import { type OnnxMetadata, readOnnxMetadata } from "../model/onnx-metadata.js";
import type { NetworkNode, NetworkValue } from "../model/output-kind.js";
import { decodeModel } from "../onnx/codec.js";

export interface OnnxFacts {
  readonly metadata: OnnxMetadata;
  /** Outputs of the graph by name, with the nodes behind them; their shapes are the session's to tell. */
  readonly outputs: ReadonlyMap<string, NetworkValue>;
}

/** A NetworkValue while the graph is read. */
interface ReadValue extends NetworkValue {
  producer?: NetworkNode;
  constant?: true;
}

/**
 * Any file that ONNX Runtime may run: the graph is not checked as one that qdg runs.
 *
 * @throws QdgError `invalid-onnx` for bytes that are no ONNX file, or facts that are damaged
 */
export function readOnnxFacts(bytes: Uint8Array, where: string): OnnxFacts {
  const { graph, metadataProps } = decodeModel(bytes, where);
  const values = new Map<string, ReadValue>();
  const valueOf = (name = ""): ReadValue => {
    const value = values.get(name) ?? { shape: UNKNOWN_SHAPE };
    values.set(name, value);
    return value;
  };
  for (const { name } of graph?.initializer ?? []) valueOf(name).constant = true;
  for (const { opType = "", domain = "", input = [], output = [] } of graph?.node ?? []) {
    const producer: NetworkNode = {
      op: opType,
      domain: domain === "ai.onnx" ? "" : domain,
      // Not read: of a softmax over another axis than the last nothing is taken for granted.
      attributes: {},
      inputs: input.map((name) => (name === "" ? null : valueOf(name))),
    };
    for (const name of output) valueOf(name).producer = producer;
  }
  return {
    metadata: readOnnxMetadata(metadataProps ?? [], where),
    outputs: new Map((graph?.output ?? []).map(({ name = "" }) => [name, valueOf(name)])),
  };
}

// What a bare ONNX file says about itself: its metadata, and which operators its outputs come of. Walks over
// the protobuf fields that it needs and skips the rest, weights too: the full codec is too large for a page.

import { QdgError } from "../base/error.js";
import { UNKNOWN_SHAPE } from "../graph/unknown-shape.js";
import { type OnnxMetadata, readOnnxMetadata } from "../model/onnx-metadata.js";
import type { NetworkNode, NetworkValue } from "../model/output-kind.js";

export interface OnnxFacts {
  readonly metadata: OnnxMetadata;
  /** Outputs of the graph by name, with the nodes behind them; their shapes are the session's to tell. */
  readonly outputs: ReadonlyMap<string, NetworkValue>;
}

// Field numbers of the ONNX schema.
const MODEL_GRAPH = 7;
const MODEL_METADATA = 14;
const GRAPH_NODE = 1;
const GRAPH_INITIALIZER = 5;
const GRAPH_OUTPUT = 12;
const NODE_INPUT = 1;
const NODE_OUTPUT = 2;
const NODE_TYPE = 4;
const NODE_DOMAIN = 7;
const KEY = 1;
const VALUE = 2;
const VALUE_INFO_NAME = 1;
const TENSOR_NAME = 8;

/** A NetworkValue while the graph is read. */
interface ReadValue extends NetworkValue {
  producer?: NetworkNode;
  constant?: true;
}

/** @throws QdgError `invalid-onnx` for bytes that are no protobuf message, or facts that are damaged */
export function readOnnxFacts(bytes: Uint8Array, where: string): OnnxFacts {
  const properties: { key: string; value: string }[] = [];
  const values = new Map<string, ReadValue>();
  const outputs: string[] = [];
  const valueOf = (name: string): ReadValue => {
    const value = values.get(name) ?? { shape: UNKNOWN_SHAPE };
    values.set(name, value);
    return value;
  };
  for (const [field, part] of fields(bytes, where)) {
    if (field === MODEL_METADATA) {
      const entry = new Map(fields(part, where));
      properties.push({ key: text(entry.get(KEY)), value: text(entry.get(VALUE)) });
    }
    if (field !== MODEL_GRAPH) continue;
    for (const [graphField, graphPart] of fields(part, where)) {
      if (graphField === GRAPH_OUTPUT) outputs.push(nameIn(graphPart, VALUE_INFO_NAME, where));
      if (graphField === GRAPH_INITIALIZER) valueOf(nameIn(graphPart, TENSOR_NAME, where)).constant = true;
      if (graphField !== GRAPH_NODE) continue;
      const node = [...fields(graphPart, where)];
      const texts = (wanted: number): string[] =>
        node.flatMap(([nodeField, nodePart]) => (nodeField === wanted ? [text(nodePart)] : []));
      const [domain = ""] = texts(NODE_DOMAIN);
      const producer: NetworkNode = {
        op: texts(NODE_TYPE)[0] ?? "",
        domain: domain === "ai.onnx" ? "" : domain,
        // Not read: of a softmax over another axis than the last nothing is taken for granted.
        attributes: {},
        inputs: texts(NODE_INPUT).map((name) => (name === "" ? null : valueOf(name))),
      };
      for (const name of texts(NODE_OUTPUT)) valueOf(name).producer = producer;
    }
  }
  return {
    metadata: readOnnxMetadata(properties, where),
    outputs: new Map(outputs.map((name) => [name, valueOf(name)])),
  };
}

function nameIn(message: Uint8Array, field: number, where: string): string {
  return text(new Map(fields(message, where)).get(field));
}

function text(part: Uint8Array | undefined): string {
  return new TextDecoder().decode(part);
}

/** The length-delimited fields of a message: field number and a view of the bytes. */
function* fields(message: Uint8Array, where: string): Generator<readonly [number, Uint8Array]> {
  let at = 0;
  const end = message.length;
  const broken = (): never => {
    throw new QdgError("invalid-onnx", where, "is no ONNX file, or a damaged one; fetch or export it again");
  };
  const varint = (): number => {
    // A product, not a shift: lengths beyond 2^31 must not wrap. Past 2^53 the bounds below refuse it.
    for (let value = 0, factor = 1; ; factor *= 128) {
      if (at >= end || factor > 2 ** 63) return broken();
      const byte = message[at++] as number;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < end) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    const wireType = tag % 8;
    if (wireType === 0) {
      varint();
    } else if (wireType === 1 || wireType === 5) {
      at += wireType === 1 ? 8 : 4;
      if (at > end) broken();
    } else if (wireType === 2) {
      const length = varint();
      if (length > end - at) broken();
      yield [field, message.subarray(at, at + length)];
      at += length;
    } else {
      broken();
    }
  }
}

// What a bare ONNX file says about itself: its metadata, and which operator makes each output. Walks over
// the protobuf fields that it needs and skips the rest, weights too: the full codec is too large for a page.

import { QdgError } from "../base/error.js";

export interface OnnxFacts {
  /** `metadata_props` by key. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Output of the graph -> type of the node that makes it. */
  readonly producers: ReadonlyMap<string, string>;
}

// Field numbers of the ONNX schema.
const MODEL_GRAPH = 7;
const MODEL_METADATA = 14;
const GRAPH_NODE = 1;
const GRAPH_OUTPUT = 12;
const NODE_OUTPUT = 2;
const NODE_TYPE = 4;
const KEY = 1;
const VALUE = 2;
const VALUE_INFO_NAME = 1;

/** @throws QdgError `invalid-onnx` for bytes that are no protobuf message */
export function readOnnxFacts(bytes: Uint8Array, where: string): OnnxFacts {
  const metadata = new Map<string, string>();
  const types = new Map<string, string>();
  const outputs: string[] = [];
  for (const [field, part] of fields(bytes, where)) {
    if (field === MODEL_METADATA) {
      const entry = new Map(fields(part, where));
      metadata.set(text(entry.get(KEY)), text(entry.get(VALUE)));
    }
    if (field !== MODEL_GRAPH) continue;
    for (const [graphField, graphPart] of fields(part, where)) {
      if (graphField === GRAPH_OUTPUT) {
        outputs.push(text(new Map(fields(graphPart, where)).get(VALUE_INFO_NAME)));
      }
      if (graphField !== GRAPH_NODE) continue;
      const node = [...fields(graphPart, where)];
      const type = text(node.find(([nodeField]) => nodeField === NODE_TYPE)?.[1]);
      for (const [nodeField, nodePart] of node) {
        if (nodeField === NODE_OUTPUT) types.set(text(nodePart), type);
      }
    }
  }
  const producers = new Map(outputs.map((name) => [name, types.get(name) ?? ""]));
  return { metadata, producers };
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

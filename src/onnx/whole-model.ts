// Puts data that a model keeps in other files into the model itself, for runtimes that read no files. The
// rules on which files it may name are those of external-data.ts. Not for browsers.

import { dirname } from "node:path";
import { readBytes } from "../base/read-bytes.js";
import { decodeModel, encodeModel } from "./codec.js";
import { dataIn } from "./external-data.js";
import type { AttributeProto, FunctionProto, GraphProto, NodeProto, TensorProto } from "./model-proto.js";
import { protoToTensor, tensorToProto } from "./tensor-proto.js";

/**
 * The bytes of a model file, with every tensor inside.
 *
 * @throws QdgError `not-found`, `io`, or as withExternalData
 */
export async function readWholeModel(path: string): Promise<Uint8Array> {
  return withExternalData(await readBytes(path), path);
}

/**
 * The same model with every tensor inside. `bytes` itself when nothing lies outside.
 *
 * @param path of the model; its other files are beside it
 * @throws QdgError as decodeModel and dataIn
 */
export function withExternalData(bytes: Uint8Array, path: string): Uint8Array {
  // A tensor outside has an entry with the key "location". Decoding would take time and memory for nothing
  // in the usual file, where no byte sequence says so.
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!buffer.includes("location")) return bytes;
  const external = dataIn(dirname(path));
  let moved = 0;
  const tensor = (proto: TensorProto): TensorProto => {
    if (proto.dataLocation !== 1) return proto;
    moved++;
    const where = `${path}, tensor ${proto.name ?? ""}`;
    return tensorToProto(protoToTensor(proto, where, external), proto.name);
  };
  const attribute = (proto: AttributeProto): AttributeProto => ({
    ...proto,
    ...(proto.t && { t: tensor(proto.t) }),
    ...(proto.tensors && { tensors: proto.tensors.map(tensor) }),
    ...(proto.g && { g: graph(proto.g) }),
    ...(proto.graphs && { graphs: proto.graphs.map(graph) }),
  });
  const node = (proto: NodeProto): NodeProto => ({
    ...proto,
    ...(proto.attribute && { attribute: proto.attribute.map(attribute) }),
  });
  const graph = (proto: GraphProto): GraphProto => ({
    ...proto,
    ...(proto.node && { node: proto.node.map(node) }),
    ...(proto.initializer && { initializer: proto.initializer.map(tensor) }),
  });
  const body = (proto: FunctionProto): FunctionProto => ({
    ...proto,
    ...(proto.node && { node: proto.node.map(node) }),
  });
  const model = decodeModel(bytes, path);
  const whole = {
    ...model,
    ...(model.graph && { graph: graph(model.graph) }),
    ...(model.functions && { functions: model.functions.map(body) }),
  };
  return moved === 0 ? bytes : encodeModel(whole);
}

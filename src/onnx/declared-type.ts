// What a file says of the types and shapes of its values, and what of it says something.

import { QdgError } from "../base/error.js";
import type { DType } from "../base/tensor.js";
import type { Dim, Value } from "../graph/graph.js";
import { isUnknownRank, UNKNOWN_DIM, UNKNOWN_SHAPE } from "../graph/unknown-shape.js";
import { dataTypeName, dtypeOf } from "./data-type.js";
import type { ValueInfoProto } from "./model-proto.js";

/** @throws QdgError `unsupported-op` for what is no tensor */
export function inputValue(info: ValueInfoProto): Value {
  const type = declaredType(info);
  const name = info.name ?? "";
  if (!type)
    throw new QdgError("unsupported-op", `input ${name}`, "is no tensor, which qdg cannot compute with");
  return { name, ...type };
}

/** undefined where the file says nothing. @throws QdgError `unsupported-op`, `invalid-onnx` */
export function declaredType(
  info: ValueInfoProto | undefined,
): { dtype: DType; shape: readonly Dim[] } | undefined {
  const type = info?.type?.tensorType;
  if (!info || !type) return undefined;
  const where = `value ${info.name}`;
  const dtype = dtypeOf(type.elemType);
  if (!dtype) {
    if (!type.elemType) return undefined;
    throw new QdgError(
      "unsupported-op",
      where,
      `has element type ${dataTypeName(type.elemType)}, which qdg cannot compute with`,
    );
  }
  const shape = type.shape
    ? (type.shape.dim ?? []).map((dim): Dim => {
        if (dim.dimParam) return dim.dimParam;
        // Some writers put -1 where they mean "any".
        if (dim.dimValue === undefined || dim.dimValue === -1) return UNKNOWN_DIM;
        if (typeof dim.dimValue === "number" && dim.dimValue >= 0) return dim.dimValue;
        throw new QdgError("invalid-onnx", where, `has a dimension of ${dim.dimValue}, expected >= 0`);
      })
    : UNKNOWN_SHAPE;
  return { dtype, shape };
}

export function isKnown(shape: readonly Dim[]): boolean {
  return !isUnknownRank(shape) && !shape.includes(UNKNOWN_DIM);
}

/** What is declared where it says something, else what was inferred. */
export function merged(declared: readonly Dim[], inferred: readonly Dim[]): readonly Dim[] {
  if (isUnknownRank(declared)) return inferred;
  if (isUnknownRank(inferred) || inferred.length !== declared.length) return declared;
  return declared.map((dim, axis) => (dim === UNKNOWN_DIM ? (inferred[axis] as Dim) : dim));
}

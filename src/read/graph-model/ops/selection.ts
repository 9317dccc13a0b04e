// What chooses by value: the largest, boxes that do not overlap, places where something holds, and writing to places.

import { tensor, type Tensor } from "../../../base/tensor.js";
import type { Dim, Value } from "../../../graph/graph.js";
import { formatShape } from "../../dims.js";
import { rankOf } from "../../held.js";
import { type Emit, type OpCall, type OpFamily } from "../call.js";
import { constantOf, type GraphTensor } from "../tensors.js";

/** The k largest along the last axis, the first of equal ones first, and their indices. */
const topK: Emit = (call) => {
  const x = call.asIs(call.input(0).held);
  const rank = x.shape.length;
  if (rank === 0) call.failModel("got a scalar");
  const sorted = call.attributes.boolean("sorted", true);
  const { numbers, held } = call.input(1);
  const k = numbers?.[0] ?? call.unknownSize("k");
  const size = x.shape[rank - 1];
  if (typeof k === "number" && typeof size === "number" && (k < 0 || k > size)) {
    call.failModel(`k: got ${k} of ${size}`);
  }
  const count = list(call, held.value, "int64", "k");
  const shape = x.shape.with(rank - 1, k);
  const attributes = { axis: -1, largest: 1, sorted: sorted ? 1 : 0 };
  const types = [{ dtype: x.dtype }, { dtype: "int64" as const }];
  const [values, indices] = call.nodes("TopK", [x, count], ["", "index"], [shape, shape], attributes, types);
  return [call.result(values as Value), call.result(call.cast(indices as Value, "int32", "1"))];
};

/** A list of one real number. */
function one(x: number): Tensor {
  return tensor("float32", [1], Float32Array.of(x));
}

/** A scalar as a list of one. */
function list(call: OpCall, value: Value, dtype: Value["dtype"], what: string): Value {
  return call.reshape(call.cast(value, dtype, `${what}_cast`), `${what}_list`, [1]);
}

/** The number before a float32: `x > before(t)` is `x >= t`. */
function before(x: number): number {
  const bits = new DataView(new ArrayBuffer(4));
  bits.setFloat32(0, x);
  if (x === 0) return -1.401298464324817e-45;
  bits.setInt32(0, bits.getInt32(0) + (x > 0 ? -1 : 1));
  return bits.getFloat32(0);
}

/**
 * Boxes by their scores, those left out that overlap a better one by as much as the threshold. ONNX leaves out only what
 * overlaps by more, so its threshold is the number before.
 */
function nonMaxSuppression(version: 2 | 3 | 4 | 5): Emit {
  return (call) => {
    const boxes = call.asIs(call.ranked(0, 2).held);
    const scores = call.asIs(call.ranked(1, 1).held);
    const [count, four] = boxes.shape;
    if (four !== 4) call.failModel(`boxes: got shape ${formatShape(boxes.shape)}, expected [count, 4]`);
    if (version === 5 && call.number(5, "soft_nms_sigma") !== 0) {
      call.fail("soft_nms_sigma: ONNX has no boxes that only lose weight; set it to 0");
    }
    const padded = version === 4 && call.attributes.boolean("pad_to_max_output_size", false);
    const most = call.input(2);
    // As tfjs, which also fills up to no more than there are boxes.
    const asked = list(call, most.held.value, "int64", "limit");
    const all = typeof count === "number" ? call.ints("count", [count]) : null;
    const limit = padded && all ? call.node("Min", [asked, all], "least_limit", [1]) : asked;
    const inputs: (Value | null)[] = [
      call.reshape(boxes, "boxes", [1, count as Dim, 4]),
      call.reshape(scores, "scores", [1, 1, count as Dim]),
      limit,
      call.constant("overlap", one(before(call.number(3, "iou_threshold")))),
    ];
    if (version > 2) {
      const least = constantOf(call.input(4));
      const score = least ? call.constant("least", one(Number(least.data[0]))) : null;
      inputs.push(score ?? list(call, call.input(4).held.value, "float32", "least"));
    }
    const found = call.unknownSize("");
    const rows = call.node("NonMaxSuppression", inputs, "rows", [found, 3], {}, { dtype: "int64" });
    const column = call.constant("column", tensor("int64", [], BigInt64Array.of(2n)));
    const picked = call.node("Gather", [rows, column], "picked", [found], { axis: 1 });
    const indices = call.node(
      "Cast",
      [picked],
      padded ? "indices" : "",
      [found],
      { to: 6 },
      { dtype: "int32" },
    );
    if (version < 4) return call.result(indices);
    if (version === 5) {
      return [
        call.result(indices),
        call.result(call.node("Gather", [scores, indices], "1", [found], { axis: 0 })),
      ];
    }
    const size = call.node("Size", [indices], "size", [], {}, { dtype: "int64" });
    const valid = call.result(call.cast(size, "int32", "1"));
    if (!padded) return [call.result(indices), valid];
    if (!all) return call.fail("pad_to_max_output_size: needs a known number of boxes");
    const known = most.numbers?.[0];
    const length = typeof known === "number" ? Math.min(known, count as number) : call.unknownSize("limit");
    return [filledUp(call, indices, size, limit, length), valid];
  };
}

/** Zeros after the indices, up to the limit. */
function filledUp(call: OpCall, indices: Value, size: Value, limit: Value, length: Dim): GraphTensor {
  const zero = call.constant("none", tensor("int64", [1], BigInt64Array.of(0n)));
  const missing = call.node("Sub", [limit, size], "missing", [1]);
  const pads = call.node("Concat", [zero, missing], "pads", [2], { axis: 0 });
  return call.result(call.node("Pad", [indices, pads, call.scalar("zero", 0, "int32")], "", [length]));
}

/** The coordinates of what is true, [count, rank]. */
const where: Emit = (call) => {
  const x = call.asIs(call.input(0).held);
  const rank = rankOf(call.input(0).held);
  const count = call.unknownSize("");
  const byAxis = call.node("NonZero", [x], "by_axis", [rank, count], {}, { dtype: "int64" });
  const rows = call.node("Transpose", [byAxis], "rows", [count, rank], { perm: [1, 0] });
  return call.result(call.cast(rows, "int32", ""));
};

/** Zeros, with updates added at the places of indices. */
const scatterNd: Emit = (call) => {
  const indices = call.cast(call.asIs(call.input(0).held), "int64", "indices");
  const updates = call.asIs(call.input(1).held);
  const shape = call.numbers(2, "shape");
  const sizes = call.cast(call.input(2).held.value, "int64", "sizes");
  const { dtype } = updates;
  const value: Tensor =
    dtype === "float32" ? tensor("float32", [1], Float32Array.of(0)) : tensor("int32", [1], Int32Array.of(0));
  if (dtype === "bool") call.fail("updates: got booleans, expected numbers");
  const zeros = call.node("ConstantOfShape", [sizes], "zeros", shape, { value }, { dtype });
  return call.result(call.node("ScatterND", [zeros, indices, updates], "", shape, { reduction: "add" }));
};

/** x, with updates in place of what was there; of two for one place the last. */
const tensorScatterUpdate: Emit = (call) => {
  const x = call.asIs(call.input(0).held);
  const indices = call.cast(call.asIs(call.input(1).held), "int64", "indices");
  return call.result(call.node("ScatterND", [x, indices, call.asIs(call.input(2).held)], "", x.shape));
};

export const SELECTION_OPS: OpFamily = {
  NonMaxSuppressionV2: nonMaxSuppression(2),
  NonMaxSuppressionV3: nonMaxSuppression(3),
  NonMaxSuppressionV4: nonMaxSuppression(4),
  NonMaxSuppressionV5: nonMaxSuppression(5),
  ScatterNd: scatterNd,
  TensorScatterUpdate: tensorScatterUpdate,
  TopKV2: topK,
  Where: where,
};

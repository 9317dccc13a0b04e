// Upsample and the older forms of Resize.

import { QdgError } from "../../../base/error.js";
import { float32, type Tensor } from "../../../base/tensor.js";
import type { Value } from "../../../graph/graph.js";
import { stringAttribute } from "../../../graph/graph.js";
import type { NewerNode, OlderNode } from "../../../onnx/upgrade.js";
import { asNode, type OlderForm, type OlderRule } from "./older-form.js";

/** The scales stood in an attribute until opset 8. */
const upsample: OlderRule = (older, builder) => {
  const { scales } = older.attributes;
  const given = scales as Tensor | undefined;
  const value =
    older.inputs[1] ??
    (given && builder.constant("scales", float32(given.shape, given.data as Float32Array)));
  if (!value) throw new QdgError("invalid-onnx", older.where, "has no scales");
  return asymmetric(older, value, "floor");
};

/** Opset 10: positions are those of asymmetric; the nearest is the one before, and behind where an axis shrinks. */
const resize10: OlderRule = (older) => {
  const scales = older.inputs[1];
  if (!scales) throw new QdgError("invalid-onnx", older.where, "has no scales");
  const known = scales.constant ? Array.from(scales.constant.data as Float32Array) : null;
  const shrinks = known?.some((scale) => scale < 1) ?? false;
  const isLinear = stringAttribute(asNode(older), "mode", "nearest") !== "nearest";
  if (!isLinear && (!known || (shrinks && known.some((scale) => scale > 1)))) {
    throw new QdgError(
      "unsupported-op",
      older.where,
      "resizes to the nearest by scales that are computed, or that both enlarge and shrink, expected constant ones of one kind; export the model at opset 11 or later",
    );
  }
  return asymmetric(older, scales, shrinks ? "ceil" : "floor");
};

function asymmetric(older: OlderNode, scales: Value, nearest: "floor" | "ceil"): NewerNode {
  const mode = stringAttribute(asNode(older), "mode", "nearest");
  return {
    op: "Resize",
    inputs: [older.inputs[0] ?? null, null, scales],
    attributes: {
      mode: mode === "nearest" ? mode : "linear",
      coordinate_transformation_mode: "asymmetric",
      ...(mode === "nearest" && { nearest_mode: nearest }),
    },
  };
}

/** Opset 11: what is left out is there as an empty list. */
const resize11: OlderRule = (older) => {
  if (older.attributes["coordinate_transformation_mode"] === "tf_half_pixel_for_nn") {
    throw new QdgError(
      "unsupported-op",
      older.where,
      "coordinate_transformation_mode: got tf_half_pixel_for_nn, which later opsets lack; use half_pixel",
    );
  }
  const inputs = older.inputs.map((input) => (input?.constant?.data.length === 0 ? null : input));
  return { op: "Resize", inputs, attributes: older.attributes };
};

export const RESIZE_FORMS: readonly OlderForm[] = [
  { op: "Upsample", since: 7, until: 10, upgrade: upsample },
  { op: "Resize", since: 10, until: 11, upgrade: resize10 },
  { op: "Resize", since: 11, until: 13, upgrade: resize11 },
];

// Tensors put together along an axis, an old one or a new one.

import type { Dim, Value } from "../../../graph/graph.js";
import { formatShape, plus } from "../../dims.js";
import { type Layout, toChannelsFirst } from "../../held.js";
import { type Emit, type OpCall, type OpFamily } from "../call.js";
import { constantOf, type GraphTensor, shapeOfTensor } from "../tensors.js";
import { ofOneType } from "./arithmetic.js";
import { expanded } from "./shaping.js";

function concat(axisFirst: boolean): Emit {
  return (call) => {
    const at = axisFirst ? 0 : call.inputs.length - 1;
    const tensors = ofOneType(
      call,
      call.inputs.filter((_, i) => i !== at),
    );
    const [first] = tensors;
    if (!first) return call.failModel("has nothing to put together");
    const rank = shapeOfTensor(first).length;
    if (rank === 0) call.failModel("puts scalars together");
    return joined(call, tensors, call.axis(at, rank));
  };
}

function joined(call: OpCall, tensors: readonly GraphTensor[], tfjsAxis: number): GraphTensor {
  const shapes = tensors.map(shapeOfTensor);
  const rank = shapes[0]?.length ?? 0;
  for (const shape of shapes) {
    if (shape.length !== rank) call.failModel(`got shapes ${shapes.map(formatShape).join(", ")}`);
  }
  const moves = tensors.some(({ held }) => held.layout === "channels-first");
  const layout: Layout = moves ? "channels-first" : "as-is";
  const values = tensors.map(({ held }) => call.inLayout(held, layout));
  const axis = moves ? toChannelsFirst(rank).indexOf(tfjsAxis) : tfjsAxis;
  const [only] = values as [Value, ...Value[]];
  const size = values
    .slice(1)
    .reduce<Dim>((sum, value) => added(call, sum, value.shape[axis] as Dim), only.shape[axis] as Dim);
  const shape = only.shape.map((dim, i) =>
    i === axis ? size : (values.find((v) => typeof v.shape[i] === "number")?.shape[i] ?? dim),
  );
  const lists = tensors.map(({ numbers }) => numbers);
  const numbers =
    rank === 1 && lists.every((list) => list !== null) ? lists.flatMap((list) => list ?? []) : null;
  if (values.length === 1) return call.result(only, layout, numbers);
  return call.result(call.node("Concat", values, "", shape, { axis }), layout, numbers);
}

function added(call: OpCall, a: Dim, b: Dim): Dim {
  if (typeof b === "number") return plus(a, b);
  return typeof a === "number" ? plus(b, a) : call.unknownSize("axis");
}

/** Along a new axis. */
const pack: Emit = (call) => {
  const tensors = ofOneType(call, call.inputs);
  const [first] = tensors;
  if (!first) return call.failModel("has nothing to put together");
  const rank = shapeOfTensor(first).length + 1;
  const axis = call.axisOf(call.attributes.int("axis", 0), rank);
  const parts = tensors.map((each, i) => expanded(call, each, [axis], `part_${i}`));
  const numbers = rank === 1 ? tensors.map(({ numbers: list }) => list?.[0] ?? null) : [];
  const result = joined(call, parts, axis);
  const known = numbers.length > 0 && numbers.every((n) => n !== null);
  return known && !constantOf(result) ? call.result(result.held.value, "as-is", numbers) : result;
};

export const JOINING_OPS: OpFamily = {
  Concat: concat(true),
  ConcatV2: concat(false),
  Pack: pack,
};

// TensorLists: tensors of one shape that loops fill and read. Their elements are known one by one while the model is read.

import type { Dim, Value } from "../../../graph/graph.js";
import { formatShape } from "../../dims.js";
import type { Emit, OpCall, OpFamily } from "../call.js";
import { type GraphTensor, shapeOfTensor } from "../tensors.js";
import { JOINING_OPS } from "./joining.js";

type Elements = readonly (GraphTensor | null)[];

/** The list as what a node gives; what a tensor would hold is nothing. */
function listOf(call: OpCall, elements: Elements): GraphTensor {
  call.boundedCount(elements.length);
  call.attributes.ignore("element_dtype", "shape_type");
  return { ...call.result(call.scalar("", 0, "int32")), list: elements };
}

function elementOf(call: OpCall, elements: Elements, index: number): GraphTensor {
  call.attributes.ignore("element_dtype", "shape_type");
  const { length } = elements;
  if (!Number.isInteger(index) || index < 0 || index >= length)
    call.failModel(`element: got ${index} of ${length}, expected 0..${length - 1}`);
  return (
    elements[index] ?? call.fail(`element ${index} was never set; qdg needs a value for each that is read`)
  );
}

/** Parts of x along its first axis, one an index. */
function rowsOf(call: OpCall, index: number): GraphTensor[] {
  const { held, numbers } = call.input(index);
  const shape = shapeOfTensor(call.input(index));
  const [count] = shape;
  if (typeof count !== "number")
    call.fail(`splits ${formatShape(shape)}; give the model's input a fixed size`);
  call.boundedCount(count);
  const x = call.asIs(held);
  return Array.from({ length: count }, (_, i) => {
    const row: Value = call.node(
      "Gather",
      [x, call.scalar(`index_${i}`, i, "int32")],
      `row_${i}`,
      shape.slice(1),
      { axis: 0 },
    );
    return call.result(row, "as-is", numbers ? [numbers[i] as Dim] : null);
  });
}

/** All elements along a new first axis. */
function stacked(call: OpCall, elements: Elements): GraphTensor {
  const all = elements.map((_, i) => elementOf(call, elements, i));
  if (all.length === 0) return call.fail("stacks an empty list, whose shape nothing tells");
  return emitted("Pack", call.with(all));
}

function emitted(op: string, call: OpCall): GraphTensor {
  const result = (JOINING_OPS[op] as Emit)(call);
  return "held" in result ? result : call.failModel("gives several tensors");
}

export const LIST_OPS: OpFamily = {
  EmptyTensorList: (call) => listOf(call, []),
  TensorListReserve(call) {
    const count = call.number(1, "num_elements");
    if (count < 0) call.failModel(`num_elements: got ${count}, expected 0 or more`);
    call.boundedCount(count);
    return listOf(
      call,
      Array.from({ length: count }, () => null),
    );
  },
  TensorListFromTensor: (call) => listOf(call, rowsOf(call, 0)),
  TensorListGetItem: (call) => elementOf(call, call.list(0), call.number(1, "index")),
  TensorListSetItem(call) {
    const elements = call.list(0);
    const index = call.number(1, "index");
    call.attributes.ignore("resize_if_index_out_of_bounds");
    if (!Number.isInteger(index) || index < 0 || index >= elements.length)
      call.failModel(`index: got ${index} of ${elements.length} elements`);
    return listOf(call, elements.with(index, call.input(2)));
  },
  TensorListPushBack: (call) => listOf(call, [...call.list(0), call.input(1)]),
  TensorListLength(call) {
    const { length } = call.list(0);
    return call.result(call.scalar("", length, "int32"), "as-is", [length]);
  },
  TensorListResize(call) {
    const elements = call.list(0);
    const count = call.number(1, "size");
    call.boundedCount(count);
    return listOf(
      call,
      Array.from({ length: count }, (_, i) => elements[i] ?? null),
    );
  },
  TensorListStack(call) {
    call.attributes.ignore("num_elements");
    return stacked(call, call.list(0));
  },
  TensorListGather(call) {
    const elements = call.list(0);
    return stacked(
      call,
      call.known(1, "indices").map((index) => elementOf(call, elements, index)),
    );
  },
};

// Functions in the spellings that exporters have for them: parts of the random networks of spelled-networks.ts.

import type { Value } from "../../src/graph/graph.js";
import type { Spelling } from "./spelled-networks.js";

/** x where it is above 0, else `below`. */
export function chosen(s: Spelling, x: Value, below: Value): Value {
  const zero = s.number(0);
  const condition = (op: string, ...of: readonly Value[]): Value => s.op(op, of, x.shape, {}, "bool");
  const above = (): Value =>
    s.pick([
      () => condition(s.pick(["Greater", "GreaterOrEqual"]), x, zero),
      () => condition(s.pick(["Less", "LessOrEqual"]), zero, x),
      () => condition("Not", condition("Less", x, zero)),
    ])();
  return s.pick([
    () => s.op("Where", [above(), x, below], x.shape),
    () => s.op("Where", [condition("Less", x, zero), below, x], x.shape),
    () => s.op("Where", [condition("Greater", zero, x), below, x], x.shape),
  ])();
}

/** In its spellings, along any axis but the first. */
export function logSoftmax(s: Spelling, x: Value): Value {
  const axis = s.int(1, 3);
  const shape = x.shape.with(axis, 1);
  const over = s.ints(s.pick([axis, axis - 4]));
  const shifted = (): Value => s.op("Sub", [x, s.op("ReduceMax", [x, over], shape)], x.shape);
  const spelled = (of: Value): Value => {
    const sum = s.op("ReduceSum", [s.op("Exp", [of], x.shape), over], shape);
    return s.op("Sub", [of, s.op("Log", [sum], shape)], x.shape);
  };
  return s.pick([
    () => s.op("Log", [s.op("Softmax", [x], x.shape, { axis })], x.shape),
    () => s.op("Sub", [x, s.op("ReduceLogSumExp", [x, over], shape)], x.shape),
    () => spelled(x),
    () => spelled(shifted()),
  ])();
}

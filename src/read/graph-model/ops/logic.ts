// Comparisons, logic on booleans, and the choice between two tensors.

import type { Emit, OpFamily } from "../call.js";
import { operandsOf } from "../operands.js";
import { tensorOf } from "../tensors.js";
import { binary, ofOneType } from "./arithmetic.js";

function compare(op: string): Emit {
  return binary((a, b, say) => say(op, [a, b], "", "bool"));
}

/** `condition ? a : b`, broadcast against each other. */
const select: Emit = (call) => {
  const condition = call.input(0);
  if (call.op === "Select" && call.shapeOf(0).length === 1 && call.shapeOf(1).length > 1) {
    call.fail(
      "a condition of one axis chooses rows here, which tfjs takes otherwise; convert it to SelectV2",
    );
  }
  const [a, b] = ofOneType(call, [call.input(1), call.input(2)]);
  if (!a || !b) return call.failModel("has no two values to choose from");
  const { value, layout } = condition.held;
  const asked = tensorOf({ value: call.cast(value, "bool", "condition"), layout });
  const { values, layout: chosen, shape } = operandsOf(call, [asked, a, b]);
  const { dtype } = a.held.value;
  return call.result(call.node("Where", values, "", shape, {}, { dtype }), chosen);
};

export const LOGIC_OPS: OpFamily = {
  Equal: compare("Equal"),
  NotEqual: binary((a, b, say) => say("Not", [say("Equal", [a, b], "equal", "bool")], "", "bool")),
  Greater: compare("Greater"),
  GreaterEqual: compare("GreaterOrEqual"),
  Less: compare("Less"),
  LessEqual: compare("LessOrEqual"),
  LogicalAnd: compare("And"),
  LogicalOr: compare("Or"),
  LogicalNot(call) {
    const { value, layout } = call.input(0).held;
    return call.result(call.node("Not", [value], "", value.shape), layout);
  },
  Select: select,
  SelectV2: select,
};

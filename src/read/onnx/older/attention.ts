// Attention (opset 23) in operators that every opset has, so that its products of two computed matrices are quantized as any.

import { QdgError } from "../../../base/error.js";
import { boundedSize, float32, int64 } from "../../../base/tensor.js";
import { floatAttribute, intAttribute, type Value } from "../../../graph/graph.js";
import { isUnknownRank } from "../../../graph/unknown-shape.js";
import type { NewerNode, OlderNode, UpgradeBuilder } from "../../../onnx/upgrade.js";
import { asNode, type OlderRule } from "./older-form.js";

/** Far below every score, so that its share is 0, and finite, so that a row of nothing else is no NaN. */
const HIDDEN = -1e30;

/**
 * `softmax(scale * Q K^T + mask) V` by heads, [N, heads, T, C] or, with the numbers of heads given, [N, T, heads * C]. Fewer heads of keys
 * and values are repeated.
 *
 * Refused: keys and values of the past, further outputs, a soft cap, windows, and `is_causal` for lengths that only run time knows.
 */
export const attention: OlderRule = (older, builder) => {
  const [query = null, key = null, values = null, mask = null, ...others] = older.inputs;
  if (!query || !key || !values || [query, key, values].some(({ shape }) => isUnknownRank(shape))) {
    throw refusal(older, "the rank of its inputs is not known");
  }
  checkPlain(older, others);
  const node = asNode(older);
  const isFlat = query.shape.length === 3;
  const headsOf = (x: Value, name: string): number => {
    const heads = isFlat ? intAttribute(node, name, 0) : x.shape[1];
    if (typeof heads !== "number" || heads < 1)
      throw refusal(older, `the number of heads (${name}) is not known`);
    return heads;
  };
  const heads = headsOf(query, "q_num_heads");
  const keyHeads = headsOf(key, "kv_num_heads");
  const split = (x: Value, count: number, what: string): Value => {
    if (!isFlat) return x;
    const apart = builder.node(
      "Reshape",
      [x, ints(builder, `${what}_heads`, [0, 0, count, -1])],
      {},
      `${what}/split`,
    );
    return builder.node("Transpose", [apart], { perm: [0, 2, 1, 3] }, `${what}/by_head`);
  };
  const q = split(query, heads, "query");
  const repeats = heads / keyHeads;
  if (!Number.isInteger(repeats))
    throw refusal(older, `has ${heads} heads of queries for ${keyHeads} of keys`);
  const k = repeated(split(key, keyHeads, "key"), heads, repeats, "key", older, builder);
  const v = repeated(split(values, keyHeads, "value"), heads, repeats, "value", older, builder);

  const size = q.shape[3];
  const given = older.attributes["scale"];
  if (given === undefined && typeof size !== "number")
    throw refusal(older, "the size of a head is not known");
  const scale = given === undefined ? 1 / Math.sqrt(size as number) : floatAttribute(node, "scale", 1);
  const turned = builder.node("Transpose", [k], { perm: [0, 1, 3, 2] }, "key/turned");
  const product = builder.node("MatMul", [q, turned], {}, "scores");
  let scores = builder.node("Mul", [product, builder.constant("scale", float32([], [scale]))], {}, "scaled");
  const number = (name: string, x: number): Value => builder.constant(name, float32([], [x]));
  const causal = seenBefore(older, q, k, builder);
  const isShown = mask?.dtype === "bool";
  const shown =
    isShown && causal ? builder.node("And", [mask, causal], {}, "shown") : isShown ? mask : causal;
  if (shown) {
    const bias = builder.node("Where", [shown, number("seen", 0), number("hidden", HIDDEN)], {}, "bias");
    scores = builder.node("Add", [scores, bias], {}, "scaled/shown");
  }
  if (mask && !isShown) scores = builder.node("Add", [scores, mask], {}, "scaled/masked");
  let shares = builder.node("Softmax", [scores], { axis: -1 }, "shares");
  // A query to which nothing is shown gets nothing, not the mean of everything.
  if (isShown) shares = builder.node("Where", [shown, shares, number("nothing", 0)], {}, "shares/shown");
  if (!isFlat) return { op: "MatMul", inputs: [shares, v], attributes: {} };
  const mixed = builder.node("MatMul", [shares, v], {}, "mixed");
  const back = builder.node("Transpose", [mixed], { perm: [0, 2, 1, 3] }, "by_position");
  return flattened(back, builder);
};

function flattened(x: Value, builder: UpgradeBuilder): NewerNode {
  return { op: "Reshape", inputs: [x, ints(builder, "flat", [0, 0, -1])], attributes: {} };
}

function checkPlain(older: OlderNode, others: readonly (Value | null)[]): void {
  const node = asNode(older);
  if (others.some((input) => input !== null))
    throw refusal(older, "has keys and values of the past, or lengths of its own");
  if (older.outputs > 1) throw refusal(older, "has outputs besides its result");
  if (floatAttribute(node, "softcap", 0) !== 0) throw refusal(older, "has a soft cap");
  for (const side of ["left_window_size", "right_window_size"]) {
    if (intAttribute(node, side, -1) !== -1) throw refusal(older, `has a window (${side})`);
  }
}

/** Each head of keys or values as many times as queries share it: [N, key heads, T, C] to [N, heads, T, C]. */
function repeated(
  x: Value,
  heads: number,
  repeats: number,
  what: string,
  older: OlderNode,
  builder: UpgradeBuilder,
): Value {
  if (repeats === 1) return x;
  const [length, size] = x.shape.slice(2);
  const open = typeof length === "number" ? [length, -1] : typeof size === "number" ? [-1, size] : null;
  if (!open) throw refusal(older, "the size of a head is not known");
  const list = (name: string, ...sizes: number[]): Value => ints(builder, `${what}_${name}`, sizes);
  const apart = builder.node("Unsqueeze", [x, list("axis", 2)], {}, `${what}/apart`);
  const wide = builder.node("Expand", [apart, list("copies", 1, 1, repeats, 1, 1)], {}, `${what}/copies`);
  return builder.node("Reshape", [wide, list("repeated", 0, heads, ...open)], {}, `${what}/repeated`);
}

/** Whether a key comes no later than its query; null where that does not matter. */
function seenBefore(older: OlderNode, q: Value, k: Value, builder: UpgradeBuilder): Value | null {
  if (intAttribute(asNode(older), "is_causal", 0) === 0) return null;
  const [queries, keys] = [q.shape[2], k.shape[2]];
  if (typeof queries !== "number" || typeof keys !== "number") {
    throw refusal(older, "is causal over lengths that only run time knows");
  }
  boundedSize([queries, keys], "unsupported-op", older.where, "is causal over");
  const data = Uint8Array.from({ length: queries * keys }, (_, i) =>
    i % keys <= Math.floor(i / keys) ? 1 : 0,
  );
  return builder.constant("causal", { dtype: "bool", shape: [queries, keys], data });
}

function ints(builder: UpgradeBuilder, name: string, list: readonly number[]): Value {
  return builder.constant(name, int64([list.length], list));
}

function refusal({ where }: OlderNode, what: string): QdgError {
  return new QdgError(
    "unsupported-op",
    where,
    `${what}, which is not supported; export the model at opset 22 or earlier`,
  );
}

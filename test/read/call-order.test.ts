import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { errorText } from "../../src/base/error.js";
import { type CalledLayer, orderCalls, type Step } from "../../src/read/call-order.js";

/** As tfjs does it: through all layers, again and again. Null when a round makes nothing and calls are left. */
function inRounds(layers: readonly CalledLayer[]): Step[] | null {
  const made = new Map(layers.map(({ name, made: count }) => [name, count]));
  let left = layers.flatMap(({ name, calls }) => calls.map((inputs) => ({ name, inputs })));
  const steps: Step[] = [];
  while (left.length > 0) {
    const waiting: typeof left = [];
    for (const each of left) {
      const there = each.inputs.every(({ layer, call }) => (made.get(layer) ?? 0) > call);
      if (!there) waiting.push(each);
      else if (each.inputs.length > 0) {
        const call = made.get(each.name) as number;
        made.set(each.name, call + 1);
        steps.push({ layer: each.name, call, inputs: each.inputs });
      }
    }
    if (waiting.length === left.length) return null;
    left = waiting;
  }
  return steps;
}

function ordered(layers: readonly CalledLayer[]): Step[] | null {
  try {
    return orderCalls(layers, "m");
  } catch (thrown) {
    if (errorText(thrown).includes("is never made")) return null;
    throw thrown;
  }
}

const NAMES = ["a", "b", "c", "d", "e"];
const reference = fc.record({
  layer: fc.constantFrom(...NAMES),
  call: fc.constantFrom(0, 0, 0, 0, 1),
  tensor: fc.constant(0),
});
const calledLayers = fc
  .tuple(
    fc.shuffledSubarray(NAMES, { minLength: 5, maxLength: 5 }),
    fc.array(
      fc.record({
        made: fc.constantFrom(0, 1),
        calls: fc.array(fc.array(reference, { maxLength: 2 }), { maxLength: 3 }),
      }),
      { minLength: 5, maxLength: 5 },
    ),
  )
  .map(([names, rest]) => names.map((name, i): CalledLayer => ({ name, ...(rest[i] as (typeof rest)[0]) })));

describe("calls of layers", () => {
  test("are made in the order of going through all layers, round after round", () => {
    let long = 0;
    fc.assert(
      fc.property(calledLayers, (layers) => {
        const expected = inRounds(layers);
        expect(ordered(layers)).toEqual(expected);
        if (expected !== null && expected.length > 2) long++;
      }),
      { numRuns: 2000 },
    );
    expect(long).toBeGreaterThan(50);
  });

  test("of 50,000 layers that stand in the file from the last to the first take no round each", () => {
    const count = 50_000;
    const layers = Array.from({ length: count }, (_, i): CalledLayer => ({
      name: `l${i}`,
      made: i === count - 1 ? 1 : 0,
      calls: i === count - 1 ? [] : [[{ layer: `l${i + 1}`, call: 0, tensor: 0 }]],
    }));
    expect(orderCalls(layers, "m")[0]).toMatchObject({ layer: `l${count - 2}`, call: 0 });
  });
});

// What every normalizing pass promises, on random networks as exporters write them; and what each makes of its own pattern.

import { describe, expect, test } from "vitest";
import { floatFile } from "../../../src/export/float-file.js";
import { type Graph, valuesOf } from "../../../src/graph/graph.js";
import { printGraph } from "../../../src/graph/print.js";
import { verifyGraph } from "../../../src/graph/verify.js";
import { NORMALIZING_PASSES, normalize } from "../../../src/read/normalize/pipeline.js";
import { largestDifference } from "../../support/same-outputs.js";
import { BLOCKS, spelledNetwork } from "../../support/spelled-networks.js";

/** Layer normalization of numbers that hardly differ multiplies what the last bits before it differ by. */
const ROUNDING = 1e-4;

const file = (graph: Graph): Uint8Array => floatFile(graph, 21);

describe.each(NORMALIZING_PASSES.map((pass) => ({ name: pass.name, pass })))("$name", ({ pass }) => {
  test("changes no output, and a second run changes nothing, on random networks", async () => {
    let changed = 0;
    for (let seed = 0; seed < 12; seed++) {
      const before = spelledNetwork(seed);
      const printed = printGraph(before);
      const after = pass(before);
      verifyGraph(after);
      expect(printGraph(before)).toBe(printed);
      expect(printGraph(pass(after))).toBe(printGraph(after));
      if (printGraph(after) === printed) continue;
      changed++;
      expect(await largestDifference(file(before), file(after), before), `seed ${seed}`).toBeLessThan(
        ROUNDING,
      );
    }
    expect(changed).toBeGreaterThan(0);
  });
});

test("all passes together change no output, keep names of inputs and outputs, and a second time change nothing", async () => {
  for (let seed = 100; seed < 112; seed++) {
    const before = spelledNetwork(seed, 12);
    const after = normalize(before);
    expect(printGraph(normalize(after))).toBe(printGraph(after));
    expect(after.outputs.map(({ name }) => name)).toEqual(before.outputs.map(({ name }) => name));
    expect(await largestDifference(file(before), file(after), before), `seed ${seed}`).toBeLessThan(ROUNDING);
  }
});

/** Operators that are left of one block between two Tanh. */
function left(block: keyof typeof BLOCKS, seed = 1): string[] {
  const graph = normalize(spelledNetwork(seed, 2, [BLOCKS[block] as never]));
  return [...new Set(graph.nodes.map(({ op }) => op))].filter((op) => op !== "Tanh").sort();
}

test.each<[keyof typeof BLOCKS, string[]]>([
  ["identity", []],
  ["convAndAdd", ["Conv"]],
  ["convAndAffine", ["BatchNormalization", "Conv"]],
  ["swish", ["Swish"]],
  ["hardSwish", ["HardSwish"]],
  ["mish", ["Mish"]],
  ["gelu", ["Gelu"]],
  ["geluTanh", ["Gelu"]],
  ["layerNorm", ["LayerNormalization"]],
  ["dense", ["Gemm", "Reshape"]],
  ["split", ["Concat", "Slice"]],
  ["flattened", []],
  ["gather", ["Add", "Slice", "Squeeze", "Unsqueeze"]],
  ["pool", ["Add", "GlobalAveragePool"]],
])("of the block %s remains %j", (block, expected) => {
  for (let seed = 1; seed < 6; seed++) {
    // One channel cannot be split.
    const input = spelledNetwork(seed, 0).inputs[0];
    if (block === "split" && input?.shape[1] === 1) continue;
    expect(left(block, seed), `seed ${seed}`).toEqual(expected);
  }
});

test("a pass that meets taken names gives others", () => {
  const names = valuesOf(normalize(spelledNetwork(3, 20))).map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

// Whether products of packed bytes on WebGPU are exact, and what they take against float32: an experiment for kernels that
// qdg does not have.

import { browserProgram } from "../browser-visit.js";
import { startPageBench } from "../page-bench.js";
import type { Part } from "../part.js";
import { type Row, skippedRow } from "../row.js";
import { quartiles, speedup, spread } from "../statistics.js";

/** Positions, outputs and inputs of pointwise convolutions: of a MobileNet's middle, and of a ResNet's. */
const CASES = [
  { M: 784, N: 192, K: 32 },
  { M: 784, N: 256, K: 512 },
] as const;
const ROUNDS = 21;
/** As in a browser with a GPU; on Linux, without one, the same flags give the software adapter. */
const FLAGS = ["--enable-unsafe-webgpu", "--enable-features=Vulkan"];

export const packedPart: Part = {
  title: "WebGPU: products of packed bytes against float32",
  method: () =>
    `Two shaders of one shape in a page of the system's browser: \`dot4I8Packed\` of words of four bytes, and \`dot\` of four float32; ${ROUNDS} rounds in turns after three, from submitting to the end of the work. Value: median of float32 time / packed time; brackets: quartiles. Differing: of all sums, against JavaScript's. On a software adapter the ratio says nothing of a GPU, and only that the sums are exact counts.`,
  async run({ reporter, smoke }) {
    const program = await browserProgram();
    if (program === null)
      return CASES.map((each) => skippedRow(titleOf(each), "0 differ", "no Chromium, Chrome or Edge"));
    const bench = await startPageBench(program, "packed");
    const page = await bench.open(FLAGS);
    try {
      const rows: Row[] = [];
      for (const each of CASES) {
        reporter.say(titleOf(each));
        const result = await page.call("packedProducts", { ...each, rounds: smoke ? 3 : ROUNDS });
        if ("missing" in result) {
          rows.push(skippedRow(titleOf(each), "0 differ", result.missing));
          continue;
        }
        const { adapter, differing, packedMs, floatMs } = result;
        rows.push({
          name: titleOf(each),
          value: `${spread(speedup(floatMs, packedMs), 2)} x, ${differing} differ`,
          bar: "0 differ",
          reached: differing === 0 ? "yes" : "no",
          detail: `float32 ${spread(quartiles(floatMs), 2)} ms, packed ${spread(quartiles(packedMs), 2)} ms; ${adapter}, browser ${page.browserVersion}`,
        });
      }
      return rows;
    } finally {
      await page.close();
      await bench.stop();
    }
  },
};

function titleOf({ M, N, K }: (typeof CASES)[number]): string {
  return `${M} x ${N} sums of ${K} products`;
}

// How much faster the engine is than ONNX Runtime on WebAssembly in a browser, where it is meant to run.

import { browserProgram } from "../browser-visit.js";
import { ENGINE_CASES, type EnginePlace, engineRows, ROUNDS, WARM_UP_RUNS } from "../engine-rows.js";
import { type PageBench, startPageBench } from "../page-bench.js";
import type { Part, PartContext } from "../part.js";
import { type Row, skippedRow } from "../row.js";

/** Takes the sums of four products away from Chromium where the processor has them, as on one that is older. */
const WITHOUT_VNNI = "--js-flags=--no-enable-avx-vnni";
const WITHOUT_VNNI_SUFFIX = ", without VNNI";

export const browserEnginePart: Part = {
  title: "The engine against ONNX Runtime on WebAssembly, in a browser",
  method: (_, rows) =>
    `In the system's browser without a window, a new one for each network and precision: one page, one thread, batch of 1, ${WARM_UP_RUNS} warm-up runs, then ${ROUNDS} rounds in which every file runs once on each runtime, each round in another order. Timed inside the page, which is cross-origin isolated and says nothing to the outside meanwhile; a run is handed a tensor and gives one. Value: median over rounds of ONNX Runtime's time / the engine's, so more is better; brackets: quartiles; times likewise. What relaxed SIMD is in this browser is told after the engine's version: bars are those of its class. ${ofClasses(rows)}`,
  async run(context) {
    const program = await browserProgram();
    if (program === null) {
      return ENGINE_CASES.map(({ name }) => skippedRow(name, "", "no Chromium, Chrome or Edge"));
    }
    const bench = await startPageBench(program, "browser-engine");
    try {
      const place = await inPages(bench, [], "", context);
      const rows = await rowsOf(place, context);
      if (!place.version.endsWith("unsigned")) return rows;
      const lesser = await inPages(bench, [WITHOUT_VNNI], WITHOUT_VNNI_SUFFIX, context);
      if (lesser.version.endsWith("unsigned")) {
        const reason = `${WITHOUT_VNNI} leaves sums of four products exact`;
        return [
          ...rows,
          ...ENGINE_CASES.map(({ name }) => skippedRow(`${name}${WITHOUT_VNNI_SUFFIX}`, "", reason)),
        ];
      }
      return [...rows, ...(await rowsOf(lesser, context))];
    } finally {
      await bench.stop();
    }
  },
};

function ofClasses(rows: readonly Row[]): string {
  if (rows.every(({ reached }) => reached === "skipped")) return "";
  return rows.some(({ name }) => name.endsWith(WITHOUT_VNNI_SUFFIX))
    ? `Without VNNI: Chromium with \`${WITHOUT_VNNI}\`, which makes of this machine one whose sums of four products are not exact.`
    : `This machine is not of the class "unsigned", so \`${WITHOUT_VNNI}\` would change nothing and is not measured.`;
}

async function rowsOf(place: EnginePlace, context: PartContext): Promise<Row[]> {
  const rows: Row[] = [];
  for (const each of context.smoke ? ENGINE_CASES.slice(0, 1) : ENGINE_CASES) {
    rows.push(...(await engineRows(each, place, context)));
  }
  return rows;
}

/** Pages of one kind of browser, each for one comparison. */
async function inPages(
  bench: PageBench,
  flags: readonly string[],
  nameSuffix: string,
  { smoke }: PartContext,
): Promise<EnginePlace> {
  const first = await bench.open(flags);
  let version = "";
  try {
    version = await first.call("engineVersion", {});
  } finally {
    await first.close();
  }
  return {
    version,
    nameSuffix,
    detailSuffix: `; browser ${first.browserVersion}`,
    async times(quantized, float) {
      const [quantizedPath, floatPath] = [await bench.put(quantized), await bench.put(float)];
      const page = await bench.open(flags);
      try {
        return await page.call("times", {
          files: [
            { runtime: "engine", path: quantizedPath },
            { runtime: "onnxruntime", path: floatPath },
            { runtime: "onnxruntime", path: quantizedPath },
          ],
          warmUpRuns: smoke ? 1 : WARM_UP_RUNS,
          rounds: smoke ? 3 : ROUNDS,
        });
      } finally {
        await page.close();
      }
    },
  };
}

// The stages of an export before it lowers, by its options: a graph as it was read becomes an annotated one.

import { observe } from "../../src/export/observe.js";
import { type ExportOptions, recipeOfOptions, withDefaults } from "../../src/export/options.js";
import { quantize, type QuantizedGraph } from "../../src/export/quantize.js";
import type { Samples } from "../../src/export/samples.js";
import type { Graph } from "../../src/graph/graph.js";
import { QUANTIZED_PASSES, runPasses } from "../../src/graph/passes/pipelines.js";
import type { LearnedQuantizers } from "../../src/quant/learned.js";

export async function quantizeWith(
  source: Graph,
  options: Partial<ExportOptions>,
  samples: Samples | null,
  learned: LearnedQuantizers | null = null,
): Promise<QuantizedGraph> {
  const complete = withDefaults({ model: "test", output: "test", ...options });
  const { observer, powerOfTwo, freeWeights, biasCorrection } = complete;
  const float = runPasses(source, QUANTIZED_PASSES);
  const statistics = samples && (await observe(float, samples, { observer, learned }));
  return quantize(float, recipeOfOptions(complete), statistics, learned, {
    preprocessing: null,
    powerOfTwo,
    freeWeights,
    biasCorrection,
  });
}

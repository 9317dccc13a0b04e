// The steps of a quantized export from a recipe to bytes, so that several recipes can be tried on one observation.

import type { Progress } from "../base/progress.js";
import type { Graph } from "../graph/graph.js";
import type { Recipe } from "../graph/recipe.js";
import type { Lowered } from "../lower/lower.js";
import type { FormName } from "../model/onnx-metadata.js";
import type { LearnedQuantizers } from "../quant/learned.js";
import { isForWebgpu, type PlannedFile, plannedFiles } from "./file-plan.js";
import { chooseForm } from "./form-choice.js";
import { integerFile } from "./integer-file.js";
import { type FileFacts, quantizedMetadata } from "./metadata.js";
import type { Statistics } from "./observe.js";
import type { CompleteExportOptions } from "./options.js";
import { quantize, quantizeActivations, type QuantizedGraph } from "./quantize.js";
import { reconstructEachAlone, reconstructWeights } from "./reconstruction/reconstruct-weights.js";
import type { Samples } from "./samples.js";

export interface MadeFile extends PlannedFile {
  readonly bytes: Uint8Array;
  readonly lowered: Lowered;
  readonly form: FormName;
}

/** What came of a recipe. */
export interface Made {
  readonly recipe: Recipe;
  readonly quantized: QuantizedGraph;
  /** A line for each reason why layers were not fitted. */
  readonly left: readonly string[];
  readonly files: readonly [MadeFile, ...MadeFile[]];
}

export class ExportSteps {
  /** After QUANTIZED_PASSES. */
  readonly float: Graph;
  readonly #facts: FileFacts;
  readonly #options: CompleteExportOptions;
  readonly #calibration: Samples | null;
  readonly #statistics: Statistics | null;
  readonly #learned: LearnedQuantizers | null;
  readonly #progress: Progress;

  constructor(
    float: Graph,
    facts: FileFacts,
    options: CompleteExportOptions,
    found: {
      readonly calibration: Samples | null;
      readonly statistics: Statistics | null;
      readonly learned: LearnedQuantizers | null;
    },
    progress: Progress,
  ) {
    this.float = float;
    this.#facts = facts;
    this.#options = options;
    this.#calibration = found.calibration;
    this.#statistics = found.statistics;
    this.#learned = found.learned;
    this.#progress = progress;
  }

  /** The same steps, weights fitted to other samples; ranges of activations stay as they were observed. */
  fittedTo(calibration: Samples): ExportSteps {
    const found = { calibration, statistics: this.#statistics, learned: this.#learned };
    return new ExportSteps(this.float, this.#facts, this.#options, found, this.#progress);
  }

  /** The network of each recipe, its layers as {@link make} would have them if each were the only quantized one. */
  async eachAlone(
    recipes: readonly [Recipe, ...Recipe[]],
    samples: Samples,
  ): Promise<readonly [QuantizedGraph, ...QuantizedGraph[]]> {
    const { biasCorrection, freeWeights } = this.#options;
    const reconstructs = this.#reconstructs();
    const [first, ...others] = recipes;
    const quantized = [first, ...others].map((recipe) =>
      this.#quantize(recipe, biasCorrection && !reconstructs),
    ) as [QuantizedGraph, ...QuantizedGraph[]];
    const progress = this.#progress;
    if (reconstructs)
      await reconstructEachAlone(quantized, samples, { biasCorrection, freeWeights, progress });
    return quantized;
  }

  /** The network with its activations quantized, weights real. */
  withActivations(recipe: Recipe): Graph {
    const { powerOfTwo } = this.#options;
    const { preprocessing } = this.#facts;
    return quantizeActivations(this.float, recipe, this.#statistics, { preprocessing, powerOfTwo });
  }

  /** The network as it is without fitting; null where it is not fitted. */
  nearest(recipe: Recipe): Graph | null {
    return this.#reconstructs() ? this.#quantize(recipe, this.#options.biasCorrection).graph : null;
  }

  /** Learned integers are never changed; scales by powers of two have no room for a fit. */
  #reconstructs(): boolean {
    const { powerOfTwo, ptq } = this.#options;
    return this.#calibration !== null && !this.#learned && !powerOfTwo && ptq !== "nearest";
  }

  /** Everything that an export does from a recipe to bytes. */
  async make(recipe: Recipe): Promise<Made> {
    const { freeWeights, biasCorrection } = this.#options;
    const samples = this.#calibration;
    const reconstructs = samples !== null && this.#reconstructs();
    const quantized = this.#quantize(recipe, biasCorrection && !reconstructs);
    const progress = this.#progress;
    const left = reconstructs
      ? await reconstructWeights(quantized, samples, { biasCorrection, freeWeights, progress })
      : [];
    return { recipe, quantized, left, files: await this.#encode(quantized, this.#options) };
  }

  /** Bytes of the largest file of a recipe, as its rounded weights give it: fitted ones differ by a few. */
  async roundedSize(recipe: Recipe): Promise<number> {
    const rounded = this.#quantize(recipe, this.#options.biasCorrection);
    return largestSize(await this.#encode(rounded, { ...this.#options, tune: false }));
  }

  #quantize(recipe: Recipe, biasCorrection: boolean): QuantizedGraph {
    const { powerOfTwo, freeWeights } = this.#options;
    const { preprocessing } = this.#facts;
    return quantize(this.float, recipe, this.#statistics, this.#learned, {
      preprocessing,
      powerOfTwo,
      freeWeights,
      biasCorrection,
    });
  }

  async #encode(
    { graph, scales }: QuantizedGraph,
    options: CompleteExportOptions,
  ): Promise<[MadeFile, ...MadeFile[]]> {
    const made: MadeFile[] = [];
    for (const planned of plannedFiles(options)) {
      const { targets } = planned;
      const form = isForWebgpu(targets)
        ? ("webgpu" as const)
        : await chooseForm(graph, targets, options, this.#progress);
      const file = integerFile(graph, options.opset, { form, weights: options.weights }, (lowered) =>
        quantizedMetadata(this.#facts, graph, scales, form, lowered),
      );
      made.push({ ...planned, ...file, form });
    }
    return made as [MadeFile, ...MadeFile[]];
  }
}

/** Bytes of the largest of the files. */
export function largestSize(files: readonly Pick<MadeFile, "bytes">[]): number {
  return Math.max(...files.map(({ bytes }) => bytes.length));
}

// What bits can be chosen from, with what each costs: bytes from the file's parts, errors as they were measured.

import { QdgError } from "../../base/error.js";
import type { Progress } from "../../base/progress.js";
import type { Graph } from "../../graph/graph.js";
import type { Recipe } from "../../graph/recipe.js";
import type { ExportSteps } from "../export-steps.js";
import type { Samples } from "../samples.js";
import type { BitOption, LayerOptions } from "./allocate.js";
import { FileSizes } from "./file-sizes.js";
import { type FreeLayer, freeLayers, withBits } from "./layers.js";
import { BIT_CHOICES, firstOf, measureLayers, type Sensitivity } from "./sensitivities.js";

export class Choices {
  readonly steps: ExportSteps;
  /** Of what was asked beside the budget. */
  readonly base: Recipe;
  readonly layers: readonly FreeLayer[];
  readonly sizes: FileSizes;
  /** Bytes of the file with the fewest bits there are, weights rounded to their nearest. */
  readonly least: number;

  private constructor(
    steps: ExportSteps,
    base: Recipe,
    layers: readonly FreeLayer[],
    sizes: FileSizes,
    least: number,
  ) {
    this.steps = steps;
    this.base = base;
    this.layers = layers;
    this.sizes = sizes;
    this.least = least;
  }

  /** @throws QdgError `usage` where no layer is free */
  static async of(steps: ExportSteps, base: Recipe, option: string): Promise<Choices> {
    const layers = freeLayers(steps.float, base);
    if (layers.length === 0) {
      throw new QdgError(
        "usage",
        option,
        "got no layer to choose bits for: --layer-bits or --first-last-bits say those of all; leave one of them out",
      );
    }
    const sizeAt = (bits: number): Promise<number> => steps.roundedSize(allAt(base, layers, bits));
    const sizes = new FileSizes(layers, { eight: await sizeAt(8), four: await sizeAt(4) });
    return new Choices(steps, base, layers, sizes, await sizeAt(BIT_CHOICES[0]));
  }

  /** The network by the bits of all free layers, each as if it were the only quantized one. */
  async quantized(calibration: Samples): Promise<ReadonlyMap<number, Graph>> {
    const [first, ...others] = BIT_CHOICES.map((bits) => allAt(this.base, this.layers, bits));
    const networks = await this.steps.eachAlone([first as Recipe, ...others], firstOf(calibration));
    return new Map(BIT_CHOICES.map((bits, i) => [bits, networks[i]?.graph as Graph]));
  }

  /** Measures each layer alone. */
  async measure(
    quantized: ReadonlyMap<number, Graph>,
    calibration: Samples,
    progress: Progress,
  ): Promise<{
    readonly options: readonly LayerOptions[];
    readonly byLayer: ReadonlyMap<string, Sensitivity>;
  }> {
    const { steps, layers, sizes } = this;
    const byLayer = await measureLayers(steps.float, quantized, layers, firstOf(calibration), progress);
    const options = layers.map((layer) =>
      BIT_CHOICES.map((bits): BitOption => ({
        bits,
        bytes: sizes.bytesOf(layer, bits),
        error: byLayer.get(layer.layer)?.get(bits) ?? 0,
      })),
    );
    return { options: options as unknown as LayerOptions[], byLayer };
  }

  recipeOf(chosen: readonly BitOption[]): Recipe {
    return withBits(this.base, new Map(chosen.map(({ bits }, i) => [this.layers[i]?.layer ?? "", bits])));
  }
}

function allAt(base: Recipe, layers: readonly FreeLayer[], bits: number): Recipe {
  return withBits(base, new Map(layers.map(({ layer }) => [layer, bits])));
}

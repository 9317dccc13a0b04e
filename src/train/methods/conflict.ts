// How far the two gradients of a scale pull against each other over the last steps: of the task loss, and of the same
// loss at the perturbed point. Pure: it counts and sums, decides nothing and moves nothing.

import { type Disorder, DisorderRecorder } from "./disorder.js";
import type { Measure } from "./method-options.js";
import type { StateReader, StateWriter } from "./method-state.js";

/** One number a scale in each list. */
export interface Conflict {
  readonly task: Disorder;
  readonly smoothness: Disorder;
  /** `#{t : g_task g_smoothness < 0} / K`. A coin gives 0.5. */
  readonly opposed: readonly number[];
  /** `sum g_task g_smoothness / sqrt(sum g_task^2 sum g_smoothness^2)` over the steps; 0 where one of them is all zeros. */
  readonly cosine: readonly number[];
  readonly layers: readonly LayerConflict[];
}

/** Of the scales of a layer as one vector. */
export interface LayerConflict {
  /** Its number. */
  readonly layer: number;
  /** As that of a scale, of products and squares summed over the layer's scales. */
  readonly cosine: number;
  /** Share of the steps at which the product of the two vectors was below 0. */
  readonly opposed: number;
}

export class ConflictRecorder {
  readonly #task: DisorderRecorder;
  readonly #smoothness: DisorderRecorder;
  readonly #layers: readonly number[];
  readonly #decay: number;
  readonly #opposed: Float32Array;
  readonly #products: Float32Array;
  readonly #taskSquares: Float32Array;
  readonly #smoothnessSquares: Float32Array;
  readonly #layersOpposed: Float32Array;
  /** One number: steps, each weighted by how long it is past. */
  readonly #steps = new Float32Array(1);

  /**
   * @param layers of each scale the number of its layer, counted from 0
   * @param window K, at least 2; @param memory as DisorderRecorder has it
   */
  constructor(layers: readonly number[], window: number, memory: "window" | "fading") {
    this.#layers = layers;
    this.#task = new DisorderRecorder(layers.length, window, memory);
    this.#smoothness = new DisorderRecorder(layers.length, window, memory);
    this.#decay = this.#task.decay;
    this.#opposed = new Float32Array(layers.length);
    this.#products = new Float32Array(layers.length);
    this.#taskSquares = new Float32Array(layers.length);
    this.#smoothnessSquares = new Float32Array(layers.length);
    this.#layersOpposed = new Float32Array(layers.length === 0 ? 0 : Math.max(...layers) + 1);
  }

  /** @returns whether the window is full with this step */
  record(task: Float32Array, smoothness: Float32Array): boolean {
    const isFull = this.#task.record(task);
    this.#smoothness.record(smoothness);
    const decay = this.#decay;
    const layerProducts = new Float64Array(this.#layersOpposed.length);
    for (let i = 0; i < task.length; i++) {
      const t = task[i] as number;
      const s = smoothness[i] as number;
      const layer = this.#layers[i] as number;
      layerProducts[layer] = (layerProducts[layer] as number) + t * s;
      this.#opposed[i] = decay * (this.#opposed[i] as number) + (t * s < 0 ? 1 : 0);
      this.#products[i] = decay * (this.#products[i] as number) + t * s;
      this.#taskSquares[i] = decay * (this.#taskSquares[i] as number) + t * t;
      this.#smoothnessSquares[i] = decay * (this.#smoothnessSquares[i] as number) + s * s;
    }
    layerProducts.forEach((product, layer) => {
      this.#layersOpposed[layer] = decay * (this.#layersOpposed[layer] as number) + (product < 0 ? 1 : 0);
    });
    this.#steps[0] = decay * (this.#steps[0] as number) + 1;
    return isFull;
  }

  /** What the steps so far show; at least one. */
  get(): Conflict {
    const steps = this.#steps[0] as number;
    return {
      task: this.#task.get(),
      smoothness: this.#smoothness.get(),
      opposed: Array.from(this.#opposed, (count) => count / steps),
      cosine: Array.from(this.#products, (product, i) =>
        cosineOf(product, this.#taskSquares[i] as number, this.#smoothnessSquares[i] as number),
      ),
      layers: this.#ofLayers(steps),
    };
  }

  /** {@link get} of a full window, and begins the next one. */
  take(): Conflict {
    const conflict = this.get();
    this.#task.take();
    this.#smoothness.take();
    for (const array of Object.values(this.#arrays())) array.fill(0);
    return conflict;
  }

  #ofLayers(steps: number): LayerConflict[] {
    const sums = Array.from(this.#layersOpposed, () => ({ product: 0, task: 0, smoothness: 0 }));
    this.#layers.forEach((layer, i) => {
      const sum = sums[layer];
      if (!sum) return;
      sum.product += this.#products[i] as number;
      sum.task += this.#taskSquares[i] as number;
      sum.smoothness += this.#smoothnessSquares[i] as number;
    });
    return sums.map(({ product, task, smoothness }, layer) => ({
      layer,
      cosine: cosineOf(product, task, smoothness),
      opposed: (this.#layersOpposed[layer] as number) / steps,
    }));
  }

  #arrays(): Record<string, Float32Array> {
    return {
      opposed: this.#opposed,
      products: this.#products,
      "task-squares": this.#taskSquares,
      "smoothness-squares": this.#smoothnessSquares,
      "layers-opposed": this.#layersOpposed,
      steps: this.#steps,
    };
  }

  /** Adds what it holds to a state under `name`. */
  save(name: string, state: StateWriter): void {
    this.#task.save(`${name}/task`, state);
    this.#smoothness.save(`${name}/smoothness`, state);
    for (const [key, array] of Object.entries(this.#arrays())) state.array(`${name}/${key}`, array);
  }

  /** @throws QdgError `invalid-data`, also for a window of another length */
  load(name: string, state: StateReader): void {
    this.#task.load(`${name}/task`, state);
    this.#smoothness.load(`${name}/smoothness`, state);
    for (const [key, array] of Object.entries(this.#arrays())) {
      array.set(state.array(`${name}/${key}`, array.length, key === "products" ? -Infinity : 0));
    }
  }
}

function cosineOf(product: number, squares: number, otherSquares: number): number {
  const norm = Math.sqrt(squares) * Math.sqrt(otherSquares);
  return norm === 0 ? 0 : Math.max(-1, Math.min(1, product / norm));
}

/**
 * The number of each scale that freezing goes by, 0 to 1: the disorder of one gradient, the share of steps at which the
 * two oppose each other, or `(1 - cosine) / 2`, which is 0 for gradients that agree and 1 for opposite ones.
 */
export function measured(conflict: Conflict, measure: Measure): Disorder {
  const { task, smoothness, opposed, cosine } = conflict;
  const seen = task.seen.map((one, i) => one && smoothness.seen[i] === true);
  switch (measure) {
    case "task":
      return task;
    case "smoothness":
      return smoothness;
    case "opposition":
      return { disorder: opposed, seen };
    case "cosine":
      return { disorder: cosine.map((one) => (1 - one) / 2), seen };
    default:
      return measure satisfies never;
  }
}

/**
 * PCGrad (Yu et al., 2020, algorithm 1) for two gradients of a layer's scales: where `g_task . g_smoothness < 0`, each is
 * projected onto the plane that is normal to the other, `g_i - (g_i . g_j) / |g_j|^2 g_j`. Other layers stay as they are.
 *
 * @param layers of each scale the number of its layer
 * @returns half the sum of both
 */
export function projectedMean(
  task: Float32Array,
  smoothness: Float32Array,
  layers: readonly number[],
): Float32Array {
  const sums = new Map<number, { product: number; task: number; smoothness: number }>();
  layers.forEach((layer, i) => {
    const sum = sums.get(layer) ?? { product: 0, task: 0, smoothness: 0 };
    const t = task[i] as number;
    const s = smoothness[i] as number;
    sum.product += t * s;
    sum.task += t * t;
    sum.smoothness += s * s;
    sums.set(layer, sum);
  });
  return Float32Array.from(task, (t, i) => {
    const s = smoothness[i] as number;
    const sum = sums.get(layers[i] as number);
    // A product below 0 has no zero vector in it.
    if (!sum || sum.product >= 0) return (t + s) / 2;
    return (t - (sum.product / sum.smoothness) * s + s - (sum.product / sum.task) * t) / 2;
  });
}

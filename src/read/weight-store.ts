// Gives the weights of a manifest to the layers that ask for them, by name as tfjs-layers 4.22 does it
// (Container.loadWeights, strict): every weight has one layer, every layer gets all its weights.

import { QdgError } from "../base/error.js";
import { sizeOf, type Tensor } from "../base/tensor.js";
import { formatShape } from "./dims.js";
import type { Weights } from "./weights.js";

/** A weight and its name in the manifest, which is not always the one that was asked for. */
export interface TakenWeight {
  readonly name: string;
  readonly tensor: Tensor<"float32">;
}

/** Whether weights are named by position, `dense/0`, `dense/1`, as Keras 3 does it: tfjs asks the first one. */
export function namedByPosition(weights: Weights): boolean {
  const last = weights.keys().next().value?.split("/").at(-1);
  return last !== undefined && !Number.isNaN(Number.parseInt(last, 10));
}

export class WeightStore {
  /** Which weight a constant of the graph was made from: constant -> manifest. */
  readonly weightNames: Map<string, string> = new Map();
  readonly #weights: Weights;
  /** Which layer has which weight. */
  readonly #taken = new Map<string, object>();
  readonly #byPosition: boolean;

  constructor(weights: Weights) {
    this.#weights = weights;
    this.#byPosition = namedByPosition(weights);
  }

  /**
   * The weight `scope/name`; else one whose name matches without its last but one part (TF 2.2 put a cell's
   * name there); else, in a Keras 3 manifest, the one at `scope/position`.
   *
   * @throws QdgError `invalid-weights` when there is none, it has another shape or type, or another layer of that name
   * has it already
   */
  take(
    layer: { readonly name: string },
    name: string,
    position: number,
    shape: readonly number[],
  ): TakenWeight {
    const scope = layer.name;
    const key = this.#find(`${scope}/${name}`, `${scope}/${position}`);
    const weight = key === undefined ? undefined : this.#weights.get(key);
    if (key === undefined || !weight) {
      throw new QdgError(
        "invalid-weights",
        `${scope}/${name}`,
        `is not in the manifest, expected a float32 weight of shape ${formatShape(shape)}; save the model again`,
      );
    }
    if (weight.dtype !== "float32") {
      throw new QdgError("invalid-weights", key, `got a ${weight.dtype} weight, expected float32`);
    }
    if (weight.shape.length !== shape.length || weight.shape.some((dim, axis) => dim !== shape[axis])) {
      throw new QdgError(
        "invalid-weights",
        key,
        `got shape ${formatShape(weight.shape)}, expected ${formatShape(shape)} (${sizeOf(shape)} elements)`,
      );
    }
    if ((this.#taken.get(key) ?? layer) !== layer) {
      throw new QdgError(
        "invalid-weights",
        key,
        `two layers are named ${JSON.stringify(scope)}, and this weight may be of either; give each layer a name of its own and save the model again`,
      );
    }
    this.#taken.set(key, layer);
    return { name: key, tensor: weight as Tensor<"float32"> };
  }

  /** @throws QdgError `invalid-weights` when a weight of the manifest belongs to no layer */
  checkAllTaken(): void {
    const left = [...this.#weights.keys()].filter((key) => !this.#taken.has(key));
    if (left.length === 0) return;
    const more = left.length > 3 ? ` and ${left.length - 3} more` : "";
    throw new QdgError(
      "invalid-weights",
      left.slice(0, 3).join(", ") + more,
      "no layer of the model has such a weight; topology and weights are of two models",
    );
  }

  #find(name: string, byPosition: string): string | undefined {
    if (this.#weights.has(name)) return name;
    if (this.#byPosition && this.#weights.has(byPosition)) return byPosition;
    for (const key of this.#weights.keys()) {
      const parts = key.split("/");
      if (parts.length >= 3 && [...parts.slice(0, -2), ...parts.slice(-1)].join("/") === name) return key;
    }
    return undefined;
  }
}

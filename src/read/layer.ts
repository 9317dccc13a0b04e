// What a layer's file implements, and what it is given: its config once, then one LayerCall each time the
// model calls the layer. All calls of a layer share its weights.

import { QdgError } from "../base/error.js";
import { boundedSize, float32, type DType, type Tensor } from "../base/tensor.js";
import type { Attribute, Dim, Value } from "../graph/graph.js";
import type { LayerConfig } from "./config.js";
import type { Constraint } from "./constraints.js";
import { formatShape } from "./dims.js";
import type { GraphWriter } from "./graph-writer.js";
import type { Held, Layout } from "./held.js";
import type { Json } from "./model-json.js";
import type { TakenWeight, WeightStore } from "./weight-store.js";

/** Adds the nodes of one call of a layer. `inputs` has as many tensors as the model gives. */
export type Emit = (inputs: readonly Held[], call: LayerCall) => Held;

export interface LayerDefinition {
  readonly className: string;
  /** Takes int32 tensors as they are; for other layers they are cast to float32. */
  readonly takesIntegers?: true;
  /** Takes several tensors: a merge layer. */
  readonly takesSeveral?: true;
  /**
   * Reads every key of the config, then gives the function that adds nodes.
   * @throws QdgError `unsupported-layer` for what tfjs or ONNX cannot do
   */
  prepare(config: LayerConfig, inner: InnerLayers): Emit;
}

/** For wrappers: reads the layer inside. */
export interface InnerLayers {
  prepare(json: Json | undefined, where: string): { readonly className: string; readonly emit: Emit };
}

/** A layer of a model: its name and what its calls share. */
export class LayerInstance {
  calls: number = 0;
  readonly name: string;
  readonly className: string;
  readonly writer: GraphWriter;
  readonly store: WeightStore;
  readonly #constants = new Map<string, Value>();
  readonly #weights = new Map<string, TakenWeight>();

  constructor(name: string, className: string, writer: GraphWriter, store: WeightStore) {
    this.name = name;
    this.className = className;
    this.writer = writer;
    this.store = store;
  }

  weight(name: string, shape: readonly number[], constraint: Constraint | null): Tensor<"float32"> {
    const known = this.#weights.get(name)?.tensor;
    if (!known) {
      const taken = this.store.take(this, name, this.#weights.size, shape);
      const tensor = constraint ? constraint(taken.tensor) : taken.tensor;
      this.#weights.set(name, { name: taken.name, tensor });
      return tensor;
    }
    if (known.shape.some((dim, axis) => dim !== shape[axis]) || known.shape.length !== shape.length) {
      throw new QdgError(
        "invalid-model",
        `${this.name} (${this.className})`,
        `is called on inputs that need a ${name} of shape ${formatShape(shape)}, its own is ${formatShape(known.shape)}`,
      );
    }
    return known;
  }

  /** A constant that all calls share, made once; its name is linked to the weight that it holds, if any. */
  constant(what: string, make: () => Tensor, weight: string): Value {
    const known = this.#constants.get(what);
    if (known) return known;
    const value = this.writer.builder.constant(`${this.name}/${what}`, make());
    this.#constants.set(what, value);
    const held = this.#weights.get(weight);
    if (held) this.store.weightNames.set(value.name, held.name);
    return value;
  }
}

/** One call of a layer: makes its nodes, constants and names. */
export class LayerCall {
  readonly #layer: LayerInstance;
  /** The layer's name; `name@1` for its second call. */
  readonly #name: string;

  private constructor(layer: LayerInstance, name: string) {
    this.#layer = layer;
    this.#name = name;
  }

  static next(layer: LayerInstance): LayerCall {
    const name = layer.calls === 0 ? layer.name : `${layer.name}@${layer.calls}`;
    layer.calls++;
    return new LayerCall(layer, name);
  }

  /** The same call for a layer inside this one: its output is named `what`. */
  within(what: string): LayerCall {
    return new LayerCall(this.#layer, this.#valueName(what));
  }

  get writer(): GraphWriter {
    return this.#layer.writer;
  }

  get where(): string {
    return `${this.#layer.name} (${this.#layer.className})`;
  }

  /** @throws QdgError `unsupported-layer` */
  fail(what: string): never {
    throw new QdgError("unsupported-layer", this.where, what);
  }

  /** @throws QdgError `invalid-model` */
  failModel(what: string): never {
    throw new QdgError("invalid-model", this.where, what);
  }

  /** A node of the layer. `what` is "" for the layer's output, else names a value within it. */
  node(
    op: string,
    inputs: readonly (Value | null)[],
    what: string,
    shape: readonly Dim[],
    attributes: Readonly<Record<string, Attribute>> = {},
    options: { readonly domain?: "" | "qdg"; readonly dtype?: DType } = {},
  ): Value {
    // Whoever runs the graph allocates it, for one sample at least.
    boundedSize(shape, "unsupported-layer", this.where, "shape");
    return this.writer.builder.node(
      op,
      this.#layer.name,
      inputs,
      { name: this.#valueName(what), shape, dtype: options.dtype ?? inputs[0]?.dtype ?? "float32" },
      attributes,
      options.domain ?? "",
    );
  }

  /**
   * A constant that all calls of the layer share; `make` is called once for each `what`.
   *
   * @param weight of the layer that the constant holds, in whichever order of axes; `what` names it too
   * unless another is given
   */
  constant(what: string, make: () => Tensor, weight: string = what): Value {
    return this.#layer.constant(what, make, weight);
  }

  scalar(what: string, x: number): Value {
    return this.constant(what, () => float32([], [x]));
  }

  /** A list of int64: shapes, axes, pads. Belongs to this call alone. */
  ints(what: string, list: readonly number[]): Value {
    return this.writer.builder.ints(this.#valueName(what), list);
  }

  /**
   * A weight of the manifest, with the constraint that tfjs applies when it loads it.
   * @throws QdgError `invalid-weights` when it is missing or has another shape
   */
  weight(name: string, shape: readonly number[], constraint: Constraint | null = null): Tensor<"float32"> {
    return this.#layer.weight(name, shape, constraint);
  }

  channelsFirst(held: Held): Value {
    return this.writer.channelsFirst(held);
  }

  asIs(held: Held): Value {
    return this.writer.asIs(held);
  }

  /** `held` in the given layout. */
  inLayout(held: Held, layout: Layout): Value {
    return layout === "as-is" ? this.asIs(held) : this.channelsFirst(held);
  }

  /**
   * Reshape to `shape`. Named sizes: one is left to the runtime (-1), others must stay at their place.
   * @throws QdgError `unsupported-layer` when more than one size would have to be found out
   */
  reshape(x: Value, what: string, shape: readonly Dim[]): Value {
    const named = shape.flatMap((dim, axis) => (typeof dim === "string" ? [axis] : []));
    const target = shape.map((dim) => (typeof dim === "number" ? dim : -1));
    if (named.length > 1) {
      const free = named.filter((axis) => x.shape[axis] !== shape[axis]);
      for (const axis of named) if (!free.includes(axis)) target[axis] = 0;
      if (free.length > 1) {
        this.fail(
          `cannot reshape ${formatShape(x.shape)} to ${formatShape(shape)}: only one size can be left open; ` +
            "give the input a fixed size",
        );
      }
    }
    return this.node("Reshape", [x, this.ints(what === "" ? "shape" : `${what}_shape`, target)], what, shape);
  }

  #valueName(what: string): string {
    return what === "" ? this.#name : `${this.#name}/${what}`;
  }
}

/** The one input of a layer that takes one. */
export function only(inputs: readonly Held[], call: LayerCall): Held {
  const [first] = inputs;
  if (!first || inputs.length !== 1) return call.failModel(`got ${inputs.length} inputs, expected 1`);
  return first;
}

/** @throws QdgError `invalid-model` unless the tensor has `rank` axes */
export function expectRank(held: Held, rank: number, call: LayerCall): void {
  const got = held.value.shape.length;
  if (got !== rank) call.failModel(`got an input of rank ${got}, expected ${rank}`);
}

/** A size that must be known at export. @throws QdgError `invalid-model` */
export function knownDim(dim: Dim | undefined, what: string, call: LayerCall): number {
  if (typeof dim !== "number") {
    return call.failModel(
      `${what}: got the unknown size ${dim}, expected a number; give the input a fixed size`,
    );
  }
  return dim;
}

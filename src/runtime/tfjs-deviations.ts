// Where tfjs 4.22 computes something else than Keras defines: the one list, every line of it measured against plain
// arithmetic in test/runtime/tfjs-deviations.test.ts. Looks at a topology alone; it runs nothing and judges nothing.

/** A layer of a model at which tfjs is known to compute something else. */
export interface TfjsDeviation {
  readonly layer: string;
  readonly className: string;
  /** "wasm": the plain JavaScript backend is right, and the runtime takes that. "all": no backend is. */
  readonly backends: "wasm" | "all";
  /** What tfjs does there, as a sentence whose subject is tfjs. */
  readonly what: string;
}

interface Rule extends Pick<TfjsDeviation, "backends" | "what"> {
  readonly classNames: readonly string[];
  /** @param rank of the layer's result, batch included; null where it is not known */
  applies(config: Config, rank: number | null): boolean;
}

const RULES: readonly Rule[] = [
  {
    classNames: ["ReLU"],
    backends: "all",
    what: "leaves out negative_slope and threshold",
    applies: (config) =>
      (config.number("negativeSlope") ?? 0) !== 0 || (config.number("threshold") ?? 0) !== 0,
  },
  {
    classNames: ["BatchNormalization", "BatchNormalizationV1"],
    backends: "all",
    what: "repeats the statistics along the last axis, whatever axis they are of",
    applies(config, rank) {
      const axis = config.numbers("axis")[0] ?? -1;
      // Of an axis counted from the front it takes the rank to know whether it is the last.
      return axis < 0 ? axis !== -1 : rank !== null && axis !== rank - 1;
    },
  },
  {
    classNames: ["DepthwiseConv2D"],
    backends: "all",
    what: "leaves out dilation_rate",
    applies: (config) => config.numbers("dilationRate").some((dilation) => dilation !== 1),
  },
  {
    classNames: ["Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2D", "SeparableConv2D"],
    backends: "wasm",
    // Where the last window ends before the image does, such padding is negative.
    what: 'gives zeros for a stride larger than the kernel with padding "same"',
    applies(config) {
      const kernel = config.numbers("kernelSize");
      const strides = config.numbers("strides");
      const axes = Array.from({ length: Math.max(kernel.length, strides.length) }, (_, axis) => axis);
      return (
        config.text("padding") === "same" && axes.some((axis) => sizeAt(strides, axis) > sizeAt(kernel, axis))
      );
    },
  },
  {
    classNames: ["PReLU"],
    backends: "wasm",
    what: "repeats the slopes along the wrong axes where an axis is shared after one that is not",
    applies(config) {
      const shared = config.numbers("sharedAxes");
      return shared.some((axis) => axis > 1 && !shared.includes(axis - 1));
    },
  },
  {
    classNames: ["Conv3DTranspose"],
    backends: "wasm",
    what: "computes another sum",
    applies: () => true,
  },
  {
    classNames: ["MaxPooling3D"],
    backends: "wasm",
    what: "gives 0 where all elements of a window are negative",
    applies: () => true,
  },
];

/**
 * The layers of a model, inner ones too, at which tfjs is known to deviate, in the order of the file.
 *
 * @param topology `{class_name, config}` of model.json, keys in snake or camel case
 * @param rankOf the rank of a layer's result by the layer's name, batch included; null where it is not known
 */
export function tfjsDeviations(
  topology: unknown,
  rankOf: (layer: string) => number | null = () => null,
): TfjsDeviation[] {
  if (Array.isArray(topology)) return topology.flatMap((each: unknown) => tfjsDeviations(each, rankOf));
  if (!isObject(topology)) return [];
  const className = topology["class_name"] ?? topology["className"];
  const given = topology["config"];
  const inner = Object.values(topology).flatMap((each) => tfjsDeviations(each, rankOf));
  if (typeof className !== "string" || !isObject(given)) return inner;
  const config = new Config(given);
  const layer = config.text("name") ?? className;
  const own = RULES.filter(
    (rule) => rule.classNames.includes(className) && rule.applies(config, rankOf(layer)),
  ).map(({ backends, what }): TfjsDeviation => ({ layer, className, backends, what }));
  return [...own, ...inner];
}

/** One size stands for all axes. */
function sizeAt(sizes: readonly number[], axis: number): number {
  return sizes[axis] ?? sizes[0] ?? 1;
}

/** Values of a layer's config by their names in camel case, however the file spells them. */
class Config {
  readonly #given: Readonly<Record<string, unknown>>;

  constructor(given: Readonly<Record<string, unknown>>) {
    this.#given = given;
  }

  #get(key: string): unknown {
    const snake = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return this.#given[key] ?? this.#given[snake];
  }

  number(key: string): number | null {
    const value = this.#get(key);
    return typeof value === "number" ? value : null;
  }

  /** One number as a list of one; empty when there is none. */
  numbers(key: string): readonly number[] {
    const value = this.#get(key);
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    return list.filter((each) => typeof each === "number");
  }

  text(key: string): string | null {
    const value = this.#get(key);
    return typeof value === "string" ? value : null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

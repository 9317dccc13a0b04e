// What a layer as Keras writes it becomes in the classic form, by its class: keys that only Keras 3 has, layers that
// tfjs has under another name or as several, layers that only act in training. Nothing is computed here.

import { QdgError } from "../../base/error.js";
import type { Tensor } from "../../base/tensor.js";
import { camelCase, describe, field, isList, isMap, type Json, type JsonMap } from "../model-json.js";
import {
  chain,
  changed,
  hardSigmoid,
  hardSwish,
  numbersOf,
  type Piece,
  rescaling,
  settings,
  type SourceLayer,
  whole,
} from "./pieces.js";
import { difference, spatialPool } from "./operators.js";

/** A weight that a layer keeps, by its name within the layer; undefined when the file has none. */
export type OwnWeight = (name: string) => Tensor | undefined;

const RENAMED: Readonly<Record<string, string>> = {
  BatchNormalizationV1: "BatchNormalization",
  BatchNormalizationV2: "BatchNormalization",
};

/**
 * Layers of Keras that give their input at inference and that tfjs lacks: a Dropout of rate 0 does the same there.
 * RandomCrop is none of them, it cuts or scales at inference too.
 */
const IDENTITIES: ReadonlySet<string> = new Set([
  "ActivityRegularization",
  "Identity",
  "RandomBrightness",
  "RandomColorDegeneration",
  "RandomColorJitter",
  "RandomContrast",
  "RandomErasing",
  "RandomFlip",
  "RandomGaussianBlur",
  "RandomGrayscale",
  "RandomHeight",
  "RandomHue",
  "RandomInvert",
  "RandomPerspective",
  "RandomPosterization",
  "RandomRotation",
  "RandomSaturation",
  "RandomSharpness",
  "RandomShear",
  "RandomTranslation",
  "RandomZoom",
  "SpatialDropout2D",
  "SpatialDropout3D",
]);

/** Keys that Keras writes for itself: how it began, how it trains, how it splits work. */
const DROPPED: ReadonlySet<string> = new Set([
  "autocast",
  "ragged",
  "optional",
  "synchronized",
  "renormClipping",
  "renormMomentum",
  "registeredName",
  "sharedObjectId",
]);

/** Types of inputs that tfjs has not, and the one that holds their numbers there. Bytes are pixels, which all else here has as reals. */
const INPUT_TYPES: Readonly<Record<string, string>> = {
  uint8: "float32",
  int8: "int32",
  uint16: "int32",
  int16: "int32",
  uint32: "int32",
  int64: "int32",
  uint64: "int32",
  float16: "float32",
  bfloat16: "float32",
  float64: "float32",
};

/** Activations of Keras under another name in tfjs. */
const ACTIVATION_NAMES: Readonly<Record<string, string>> = { silu: "swish" };

/** Keras's name of the smallest standard deviation of Normalization. */
const NORMALIZATION_EPSILON = 1e-7;

/** @throws QdgError `unsupported-layer` for what tfjs computes otherwise than Keras does */
export function layerPieces(layer: SourceLayer, weight: OwnWeight): Piece[] {
  const className = RENAMED[layer.className] ?? layer.className;
  const config = classicConfig(className, layer);
  const fail = (what: string): never => {
    throw new QdgError("unsupported-layer", layer.where, what);
  };
  if (IDENTITIES.has(className)) return whole("Dropout", changed(declared(config), { rate: 0 }));
  if (layer.keras3) refuseUnlike(className, config, fail);
  switch (className) {
    case "LeakyReLU": {
      const slope = field(config, "negativeSlope");
      const alpha = field(config, "alpha") ?? slope;
      return whole(className, changed(config, { negative_slope: undefined, alpha }));
    }
    case "Normalization":
      return normalization(config, layer.shapes[0]?.length ?? 0, weight, fail);
    case "Subtract":
      return difference(whole("Add", new Map()));
    case "GlobalAveragePooling1D":
    case "GlobalMaxPooling1D":
    case "GlobalAveragePooling2D":
    case "GlobalMaxPooling2D": {
      const rest = changed(config, { keepdims: undefined });
      if (field(config, "dataFormat") === "channels_first") return whole(className, config);
      return spatialPool(className, rest, layer.shapes[0], field(config, "keepdims"));
    }
    case "Flatten":
      // tfjs flattens images and sequences only.
      return layer.shapes[0]?.length === 2
        ? whole("Dropout", settings({ rate: 0 }))
        : whole(className, config);
    case "Concatenate": {
      const axis = field(config, "axis");
      const rank = layer.shapes[0]?.length;
      const negative = typeof axis === "number" && axis < -1 && rank !== undefined;
      return whole(className, negative ? changed(config, { axis: axis + rank }) : config);
    }
    case "TimeDistributed": {
      const inner = innerLayer(config, layer, weight);
      return whole(className, inner ? changed(config, { layer: inner }) : config);
    }
    default:
      return withActivation(className, config, layer.keras3);
  }
}

/** Where tfjs has a layer of the same name that computes something else. */
function refuseUnlike(className: string, config: JsonMap, fail: (what: string) => never): void {
  const dilation = field(config, "dilationRate") ?? 1;
  if (className === "DepthwiseConv2D" && [dilation].flat().some((rate) => rate !== 1)) {
    fail(
      `dilation_rate: got ${describe(dilation)}, expected 1: tfjs ignores it here; use a SeparableConv2D, which it dilates`,
    );
  }
  if (className === "UpSampling2D" && field(config, "interpolation") === "bilinear") {
    fail(
      'interpolation "bilinear": tfjs places pixels otherwise than Keras does; use "nearest", or a Conv2DTranspose',
    );
  }
  if (className === "CenterCrop") {
    fail("tfjs picks other pixels than Keras does; use Cropping2D with the margins written out");
  }
  if (className === "RandomWidth") fail("tfjs is random here at inference too; remove it from the model");
}

/** The config without Keras's own keys, with inputs declared as tfjs reads them. */
function classicConfig(className: string, { config, where, keras3 }: SourceLayer): JsonMap {
  const result = new Map<string, Json>();
  for (const [name, value] of config) {
    const key = camelCase(name);
    if (DROPPED.has(key) || key.endsWith("Regularizer")) continue;
    if (keras3 && key.endsWith("Initializer")) continue;
    if (key === "quantizationConfig") {
      if (value !== null) quantized(where);
    } else if (key === "dtype") {
      const type = typeOf(value, where);
      if (type !== null) result.set(name, type);
    } else if (key === "batchShape") result.set("batch_input_shape", value);
    else if (key === "renorm" && value === false) continue;
    else if (key.endsWith("Constraint")) result.set(name, plainObject(value));
    else result.set(name, value);
  }
  // Only an input has another type than float32 in tfjs.
  const isInput = className === "InputLayer" || field(result, "batchInputShape") !== undefined;
  const type = field(result, "dtype");
  if (typeof type === "string" && type !== "float32") {
    if (isInput) result.set("dtype", INPUT_TYPES[type] ?? type);
    else if (INPUT_TYPES[type] !== undefined) result.delete("dtype");
  }
  return result;
}

/** The name of a type, also of a policy; null where it only says how Keras computes. */
function typeOf(value: Json, where: string): Json | null {
  if (!isMap(value)) return typeof value === "string" && value.startsWith("mixed_") ? null : value;
  const className = field(value, "className");
  if (typeof className === "string" && className.startsWith("Quantized")) quantized(where);
  return null;
}

function quantized(where: string): never {
  throw new QdgError(
    "unsupported-layer",
    where,
    "was quantized by Keras, expected float weights; save the model as it was before quantize()",
  );
}

/** `{class_name, config}` without what Keras 3 adds. */
function plainObject(value: Json): Json {
  if (!isMap(value)) return value;
  const className = field(value, "className");
  return className === undefined
    ? value
    : settings({ class_name: className, config: field(value, "config") ?? new Map<string, Json>() });
}

/** Of a layer that leaves its place to another: the input that it declares. */
function declared(config: JsonMap): JsonMap {
  return new Map(
    [...config].filter(([key]) => ["batchInputShape", "inputShape", "dtype"].includes(camelCase(key))),
  );
}

/**
 * `(x - mean) / max(sqrt(variance), 1e-7)` as two Rescaling layers, so that the difference is rounded as Keras does;
 * inverted `x * max(sqrt(variance), 1e-7) + mean`. Mean and variance are in the config, or weights of the layer.
 */
function normalization(
  config: JsonMap,
  rank: number,
  weight: OwnWeight,
  fail: (what: string) => never,
): Piece[] {
  const axes = field(config, "axis");
  const [axis] = isList(axes) ? axes : [axes ?? null];
  const isLast = axis === null || axis === undefined || axis === -1 || axis === rank - 1;
  if ((isList(axes) && axes.length > 1) || !isLast) {
    fail(`axis: got ${describe(axes)}, expected the last axis alone (-1)`);
  }
  const statistics = (key: string): readonly number[] => {
    const given = field(config, key) ?? null;
    const list = given === null ? [...(weight(key)?.data ?? [])].map(Number) : numbersOf(given);
    if (list === null || list.length === 0) {
      return fail(`${key}: got ${describe(given)}, expected numbers; call adapt() before the model is saved`);
    }
    return list;
  };
  const mean = statistics("mean");
  const deviation = statistics("variance").map((x) => Math.max(Math.sqrt(x), NORMALIZATION_EPSILON));
  const input = declared(config);
  const parts =
    field(config, "invert") === true
      ? [rescaling("", one(deviation), one(mean))]
      : [
          rescaling("centered", 1, one(mean.map((x) => -x))),
          rescaling("", one(deviation.map((x) => 1 / x)), 0),
        ];
  const [first, ...rest] = chain(parts) as [Piece, ...Piece[]];
  return [{ ...first, config: new Map([...first.config, ...input]) }, ...rest];
}

/** One number alone, so that it fits any shape. */
function one(list: readonly number[]): Json {
  return list.length === 1 ? (list[0] as number) : list;
}

function innerLayer(config: JsonMap, layer: SourceLayer, weight: OwnWeight): JsonMap | null {
  const entry = field(config, "layer");
  const className = isMap(entry) ? field(entry, "className") : undefined;
  const inner = isMap(entry) ? field(entry, "config") : undefined;
  if (typeof className !== "string" || !isMap(inner)) return null;
  const pieces = layerPieces({ ...layer, className, config: inner, shapes: [] }, weight);
  const [piece] = pieces;
  if (!piece || pieces.length > 1) {
    throw new QdgError(
      "unsupported-layer",
      layer.where,
      `${className} within it is no single layer of tfjs; use layers of tfjs`,
    );
  }
  const name = field(inner, "name");
  return settings({
    class_name: piece.className,
    config: name === undefined ? piece.config : changed(piece.config, { name }),
  });
}

/** An activation that tfjs names otherwise, or that it has as a layer only: that follows the layer then. */
function withActivation(className: string, config: JsonMap, keras3: boolean): Piece[] {
  const given = field(config, "activation");
  // A function of Keras that was given as such: {class_name: "function", config: "relu"}.
  const called = isMap(given) && field(given, "className") === "function" ? field(given, "config") : given;
  if (typeof called !== "string") return whole(className, config);
  const name = camelCase(called);
  const after = (pieces: (before: number | string) => Piece[]): Piece[] => {
    if (className === "Activation") return pieces(0);
    return [
      { suffix: "", className, config: changed(config, { activation: "linear" }), inputs: "given" },
      ...pieces(""),
    ];
  };
  const suffix = className === "Activation" ? "" : "activation";
  switch (name) {
    case "leakyRelu":
      return after((before) => [
        { suffix, className: "LeakyReLU", config: settings({ alpha: 0.2 }), inputs: [before] },
      ]);
    case "hardSigmoid":
      if (!keras3) return whole(className, config);
      return after((before) => hardSigmoid([before], suffix));
    case "hardSilu":
    case "hardSwish":
      return after((before) => hardSwish(before, suffix));
    default:
      return whole(className, changed(config, { activation: ACTIVATION_NAMES[name] ?? called }));
  }
}

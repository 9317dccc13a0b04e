// Operators on tensors, which Keras 3 writes as layers: `y * 2.0` is class Multiply of keras.src.ops.numpy. Each becomes
// layers that tfjs has and that compute the same numbers, or an error with what to write instead.

import { QdgError } from "../../base/error.js";
import { describe, field, isList, type Json, type JsonMap } from "../model-json.js";
import {
  chain,
  hardSigmoid,
  hardSwish,
  numbersOf,
  type Piece,
  rescaling,
  settings,
  type SourceLayer,
  whole,
} from "./pieces.js";

/** What an operator is applied to: a tensor by its number among the tensors, or a constant. */
export type Operand =
  | { readonly kind: "tensor"; readonly index: number }
  | { readonly kind: "constant"; readonly value: Json };

/** Whether an entry is an operator: layers have `trainable` and `dtype` in their config, operators neither. */
export function isOperator(className: string, config: JsonMap, module: Json | undefined): boolean {
  if (typeof module === "string") return module.startsWith("keras.src.ops") || module.startsWith("keras.ops");
  return (
    className !== "InputLayer" && !config.has("trainable") && !config.has("dtype") && !config.has("layers")
  );
}

/** Operators that only make masks, which travel beside the tensors; a layer that would heed one is refused. */
export const MASK_OPERATORS: ReadonlySet<string> = new Set(["NotEqual", "Any"]);

/** Operators that are an activation of tfjs. */
const ACTIVATIONS: Readonly<Record<string, string>> = {
  Relu: "relu",
  Relu6: "relu6",
  Sigmoid: "sigmoid",
  Tanh: "tanh",
  Softplus: "softplus",
  Softsign: "softsign",
  Silu: "swish",
  Selu: "selu",
  Mish: "mish",
  Identity: "linear",
};

const POOLS: Readonly<Record<string, string>> = { Mean: "GlobalAveragePooling", Max: "GlobalMaxPooling" };

/** @throws QdgError `unsupported-layer` for an operator without layers that compute the same */
export function operatorPieces(layer: SourceLayer, operands: readonly Operand[]): Piece[] {
  const { className, config } = layer;
  const fail = (remedy: string): never => {
    throw new QdgError(
      "unsupported-layer",
      layer.where,
      `is the operator ${className} on tensors${remedy}; write it with layers of keras.layers, and save the model again`,
    );
  };
  const [a, b] = operands;
  const tensors = operands.every(({ kind }) => kind === "tensor");
  const constant = (operand: Operand | undefined): number | readonly number[] => {
    const given = operand?.kind === "constant" ? operand.value : null;
    const list = numbersOf(given) ?? fail(`, with ${describe(given)} beside them`);
    return list.length === 1 ? (list[0] as number) : list;
  };
  const along = (key: string): readonly number[] => {
    const value = field(config, key);
    const list = isList(value) ? value : [value ?? null];
    const rank = layer.shapes[0]?.length ?? 0;
    if (!list.every((axis) => Number.isSafeInteger(axis))) fail(`, with ${key} ${describe(value)}`);
    return (list as readonly number[]).map((axis) => (axis < 0 ? axis + rank : axis));
  };
  const merged = (name: string): Piece[] => {
    const ranks = new Set(layer.shapes.map((shape) => shape?.length));
    if (ranks.size > 1) fail(" of unlike ranks, which tfjs lines up otherwise");
    return whole(name, new Map());
  };
  const activation = ACTIVATIONS[className];
  if (activation !== undefined) return whole("Activation", settings({ activation }));
  switch (className) {
    case "Add":
      if (tensors) return merged("Add");
      return [rescaling("", 1, constant(a?.kind === "constant" ? a : b))];
    case "Multiply":
      if (tensors) return merged("Multiply");
      return [rescaling("", constant(a?.kind === "constant" ? a : b), 0)];
    case "Subtract":
      if (tensors) return [...difference(merged("Add"))];
      if (a?.kind === "constant") return [rescaling("", -1, constant(a))];
      return [
        rescaling(
          "",
          1,
          mapped(constant(b), (x) => -x),
        ),
      ];
    case "Divide":
    case "TrueDivide": {
      if (tensors || a?.kind === "constant") return fail(" by a tensor, which tfjs has no layer for");
      const divisor = constant(b);
      if ([divisor].flat().includes(0)) fail(" by zero");
      return [
        rescaling(
          "",
          mapped(divisor, (x) => 1 / x),
          0,
        ),
      ];
    }
    case "Negative":
      return [rescaling("", -1, 0)];
    case "Square":
      return [{ suffix: "", className: "Multiply", config: new Map(), inputs: [0, 0] }];
    case "Power":
      if (b?.kind !== "constant" || constant(b) !== 2) fail(" with another exponent than 2");
      return [{ suffix: "", className: "Multiply", config: new Map(), inputs: [0, 0] }];
    case "Maximum":
      if (tensors) return merged("Maximum");
      if (constant(a?.kind === "constant" ? a : b) !== 0) fail(" with another constant than 0");
      return whole("ReLU", new Map());
    case "Minimum":
      return tensors ? merged("Minimum") : fail(" with a constant");
    case "LeakyRelu":
      return whole("LeakyReLU", settings({ alpha: field(config, "negativeSlope") ?? 0.2 }));
    case "Elu":
      return whole("ELU", settings({ alpha: field(config, "alpha") ?? 1 }));
    case "Gelu":
      return whole(
        "Activation",
        settings({ activation: field(config, "approximate") === false ? "gelu" : "gelu_new" }),
      );
    case "HardSigmoid":
      return hardSigmoid("given", "");
    case "HardSilu":
    case "HardSwish":
      return hardSwish(0, "");
    case "Softmax":
      return whole("Softmax", settings({ axis: field(config, "axis") ?? -1 }));
    case "LogSoftmax": {
      const last = (layer.shapes[0]?.length ?? 0) - 1;
      if (along("axis")[0] !== last) fail(" along another axis than the last");
      return whole("Activation", settings({ activation: "log_softmax" }));
    }
    case "Concatenate":
      return whole("Concatenate", settings({ axis: along("axis")[0] ?? -1 }));
    case "Transpose": {
      const axes = along("axes");
      if (axes[0] !== 0) fail(" that moves the batch");
      return whole("Permute", settings({ dims: axes.slice(1) }));
    }
    case "Reshape": {
      const shape = field(config, "newshape");
      const [batch, ...rest] = isList(shape) ? shape : [];
      const open = rest.some((size) => typeof size !== "number" || size < 0);
      if (batch === undefined || (batch !== null && batch !== -1) || open) {
        fail(` to ${describe(shape)}, expected [-1, sizes]`);
      }
      return whole("Reshape", settings({ target_shape: rest }));
    }
    case "Mean":
    case "Max":
      return pooled(POOLS[className] as string, along("axis"), layer, fail);
    default:
      return fail("");
  }
}

/** `a - b` as `a + (-1) b`. */
export function difference(sum: readonly Piece[]): Piece[] {
  return [rescaling("negated", -1, 0, [1]), ...sum.map((piece) => ({ ...piece, inputs: [0, "negated"] }))];
}

/** Over all of space: [N, ...space, C] to [N, C], or with keepdims to [N, 1..., C]. */
function pooled(
  name: string,
  axes: readonly number[],
  { shapes, config }: SourceLayer,
  fail: (why: string) => never,
): Piece[] {
  const rank = shapes[0]?.length ?? 0;
  const space = rank - 2;
  const sorted = axes.toSorted((a, b) => a - b);
  if (space < 1 || space > 2 || sorted.length !== space || sorted.some((axis, i) => axis !== i + 1)) {
    fail(` over the axes [${axes.join(", ")}] of rank ${rank}`);
  }
  const pool = settings({ data_format: "channels_last" });
  return spatialPool(`${name}${space}D`, pool, shapes[0], field(config, "keepdims"));
}

/**
 * A global pool over channels-last space, and a Reshape where the axes of space stay as ones: tfjs's layers drop them always.
 *
 * @param shape of its input, where the file tells it
 */
export function spatialPool(
  className: string,
  config: JsonMap,
  shape: readonly Json[] | null | undefined,
  keepdims: Json | undefined,
): Piece[] {
  if (keepdims !== true) return whole(className, config);
  const ones = Array<number>(className.endsWith("1D") ? 1 : 2).fill(1);
  // tfjs lets layers with weights follow only where it knows the number of channels.
  const channels = shape?.at(-1);
  const kept = [...ones, typeof channels === "number" ? channels : -1];
  return chain([
    { suffix: "pool", className, config },
    { suffix: "", className: "Reshape", config: settings({ target_shape: kept }) },
  ]);
}

function mapped(value: number | readonly number[], f: (x: number) => number): number | readonly number[] {
  return typeof value === "number" ? f(value) : value.map(f);
}

// The calls of a Keras 3 layer: `inbound_nodes` as args and kwargs, where tensors are `__keras_tensor__` objects that
// name layer, call and output. Classic files list references instead; those are read in container.ts.

import { QdgError } from "../../base/error.js";
import type { Reference } from "../call-order.js";
import { describe, field, isList, isMap, type Json, type JsonMap } from "../model-json.js";
import type { Operand } from "./operators.js";

export interface Keras3Call {
  /** Tensors in the order of the arguments; `call` counts the calls of a layer in the file, from 0. */
  readonly tensors: readonly Reference[];
  /** All positional arguments, lists laid flat. */
  readonly operands: readonly Operand[];
  /** As Keras notes the shape of each tensor; null where it does not. */
  readonly shapes: readonly (readonly Json[] | null)[];
}

/** Layers that use a mask in training only. */
const MASK_BLIND: ReadonlySet<string> = new Set(["BatchNormalization", "BatchNormalizationV1"]);

export function isKeras3Call(call: Json): call is JsonMap {
  return isMap(call) && isList(call.get("args"));
}

/** @throws QdgError `invalid-model` for what is no call; `unsupported-layer` for arguments that change the result */
export function readKeras3Call(call: JsonMap, layer: string, className: string): Keras3Call {
  const tensors: Reference[] = [];
  const shapes: (readonly Json[] | null)[] = [];
  const operands: Operand[] = [];
  const read = (argument: Json): void => {
    if (isList(argument)) {
      for (const inner of argument) read(inner);
      return;
    }
    const config = isKerasTensor(argument) ? field(argument, "config") : undefined;
    if (!isMap(config)) {
      operands.push({ kind: "constant", value: argument });
      return;
    }
    const shape = field(config, "shape");
    operands.push({ kind: "tensor", index: tensors.length });
    tensors.push(history(config, layer));
    shapes.push(isList(shape) ? shape : null);
  };
  const args = call.get("args") as readonly Json[];
  // A list of numbers is one constant; a list of tensors is several arguments.
  for (const argument of args) {
    if (isList(argument) && !argument.some(isKerasTensor))
      operands.push({ kind: "constant", value: argument });
    else read(argument);
  }
  const kwargs = field(call, "kwargs") ?? null;
  if (isMap(kwargs)) {
    for (const [name, value] of kwargs) {
      // Keras itself puts the model's own mode in the place of `training`.
      if (isNothing(value) || name === "training") continue;
      if (name === "mask" && MASK_BLIND.has(className)) continue;
      throw new QdgError("unsupported-layer", `${layer} (${className})`, refusal(name, value));
    }
  }
  return { tensors, operands, shapes };
}

function refusal(argument: string, value: Json): string {
  if (argument === "mask") {
    return "heeds a mask (of Masking or Embedding with mask_zero), which tfjs and ONNX have not; build the model without masks, and save it again";
  }
  const got = isKerasTensor(value) ? "a tensor" : describe(value);
  return `is called with ${argument} = ${got}, which has no place in tfjs; call it without, and save the model again`;
}

/** Null, or a list of nothing else. */
function isNothing(value: Json): boolean {
  return value === null || (isList(value) && value.every(isNothing));
}

function isKerasTensor(value: Json): value is JsonMap {
  return isMap(value) && (value.get("class_name") ?? value.get("className")) === "__keras_tensor__";
}

function history(config: JsonMap, where: string): Reference {
  const entry = field(config, "kerasHistory");
  const [layer, call, tensor] = isList(entry) ? entry : [];
  if (typeof layer !== "string" || !isCount(call) || !isCount(tensor)) {
    throw new QdgError(
      "invalid-model",
      `${where}: inbound_nodes`,
      `keras_history: got ${describe(entry)}, expected [layer, call, tensor]`,
    );
  }
  return { layer, call, tensor };
}

function isCount(value: Json | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/**
 * `input_layers` or `output_layers` as a list of references: one tensor may stand alone, flat, and several may be
 * nested or have names.
 */
export function flatReferences(json: Json | undefined): readonly Json[] | null {
  if (isMap(json)) return [...json.values()].flatMap((value) => flatReferences(value) ?? [value]);
  if (!isList(json)) return null;
  if (typeof json[0] === "string" && json.length >= 3) return [json];
  return json.flatMap((value) => flatReferences(value) ?? [value]);
}

// A method of its row. Owns no names and no arithmetic.

import { QdgError } from "../../base/error.js";
import type { Trainable } from "../objective.js";
import { Gaqat } from "./gaqat.js";
import { GradientMethod } from "./gradient-method.js";
import type { Method } from "./method.js";
import { type MethodOptions, methodSettings } from "./method-options.js";
import { type MethodName, METHODS } from "./methods.js";

/**
 * @param trainables of the objective that it will be given, in their order
 * @throws QdgError `usage` for an option out of its range, or gaqat without scales to freeze
 */
export function createMethod<Batch>(
  name: MethodName,
  trainables: readonly Trainable[],
  options: MethodOptions,
): Method<Batch> {
  const settings = methodSettings(options);
  const { rule } = METHODS[name];
  if (rule) return new GradientMethod(name, rule, trainables, settings);
  if (!trainables.some(({ role }) => role === "scale")) {
    throw new QdgError("usage", name, "got a network without learned scales, expected a quantized one");
  }
  return new Gaqat(trainables, settings);
}

// A method of its row. Owns no names and no arithmetic.

import { QdgError } from "../../base/error.js";
import type { Trainable } from "../objective.js";
import { EqNet } from "./eq-net.js";
import { Gaqat } from "./gaqat.js";
import { GradientMethod } from "./gradient-method.js";
import type { Method } from "./method.js";
import { type MethodOptions, methodSettings } from "./method-options.js";
import { Sqwa } from "./sqwa.js";
import { type MethodName, METHODS, type ScaleSettings } from "./methods.js";

/**
 * @param trainables of the objective that it will be given, in their order
 * @throws QdgError `usage` for an option out of its range, or gaqat without scales to freeze
 */
export function createMethod<Batch>(
  name: MethodName,
  trainables: readonly Trainable[],
  options: MethodOptions,
): Method<Batch> {
  const { rule } = METHODS[name];
  const settings = methodSettings({ ...options, ...ownSettings(name, options) });
  if (name === "sqwa") return new Sqwa(name, trainables, settings);
  if (name === "eq-net") return new EqNet(name, trainables, settings);
  if (rule) return new GradientMethod(name, rule, trainables, settings);
  if (settings.frozenPart !== "none" && !trainables.some(({ role }) => role === "scale")) {
    throw new QdgError("usage", name, "got a network without learned scales, expected a quantized one");
  }
  return new Gaqat(name, trainables, settings);
}

/** What sets the method apart, where an option that it takes does not say otherwise. */
function ownSettings(name: MethodName, options: MethodOptions): Partial<MethodOptions> {
  const { scales, settings } = METHODS[name];
  const names = Object.keys(scales) as (keyof ScaleSettings)[];
  return Object.fromEntries(
    names.map((key) => [key, (settings.includes(key) ? options[key] : undefined) ?? scales[key]]),
  );
}

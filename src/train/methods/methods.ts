// The list of training methods: one line a method in each table below. Owns names, no arithmetic.

import { QdgError } from "../../base/error.js";
import type { Trainable } from "../objective.js";
import { erm } from "./erm.js";
import { Gaqat } from "./gaqat.js";
import type { GradientRule } from "./gradient-method.js";
import { GradientMethod } from "./gradient-method.js";
import { lsqSagm } from "./lsq-sagm.js";
import { lsq } from "./lsq.js";
import type { Method } from "./method.js";
import type { MethodOptions } from "./method-options.js";
import { methodSettings } from "./method-options.js";
import { qtDog, quantizedAt } from "./qt-dog.js";
import { sagm } from "./sagm.js";
import { sam } from "./sam.js";

export type { MethodOptions, MethodSettings } from "./method-options.js";
export { methodSettings } from "./method-options.js";

export const METHOD_NAMES = ["erm", "sam", "sagm", "lsq", "lsq-sagm", "gaqat", "qt-dog"] as const;
export type MethodName = (typeof METHOD_NAMES)[number];

const RULES: Readonly<Record<Exclude<MethodName, "gaqat">, GradientRule>> = {
  erm,
  sam,
  sagm,
  lsq,
  "lsq-sagm": lsqSagm,
  "qt-dog": qtDog,
};

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
  if (name !== "gaqat") return new GradientMethod(RULES[name], trainables, settings);
  if (!trainables.some(({ role }) => role === "scale")) {
    throw new QdgError("usage", name, "got a network without learned scales, expected a quantized one");
  }
  return new Gaqat(trainables, settings);
}

/**
 * Whether `step` is taken, and evaluated, on the quantized network: erm, sam and sagm never, qt-dog from its
 * `quantizeFrom` on, the others always.
 *
 * @throws QdgError `usage` for an option out of its range
 */
export function isQuantized(name: MethodName, step: number, options: MethodOptions): boolean {
  switch (name) {
    case "erm":
    case "sam":
    case "sagm":
      return false;
    case "lsq":
    case "lsq-sagm":
    case "gaqat":
      return true;
    case "qt-dog":
      return quantizedAt(step, methodSettings(options));
    default:
      return name satisfies never;
  }
}

// Weight constraints. tfjs-layers 4.22 applies a layer's constraint to every weight that it loads, not only
// in training, so a reader has to do the same to get the same numbers.

import { float32, type Tensor } from "../base/tensor.js";
import type { LayerConfig } from "./config.js";
import { camelCase, isMap, type Json } from "./model-json.js";

export type Constraint = (weight: Tensor<"float32">) => Tensor<"float32">;

/** Added to norms before a division, tfjs-layers' backend epsilon. */
const EPSILON = 1e-7;

/**
 * Reads the constraint under `key`, a name or `{class_name, config}`; null when absent. With
 * `n = sqrt(sum w^2)` along `axis` (0 by default):
 *
 * - NonNeg: `max(w, 0)`
 * - UnitNorm: `w / (e + n)`
 * - MaxNorm: `w * clip(n, 0, max) / (e + n)`
 * - MinMaxNorm: `w * (rate * clip(n, min, max) + (1 - rate) * n) / (e + n)`
 *
 * @throws QdgError `unsupported-layer` for another one
 */
export function readConstraint(config: LayerConfig, key: string): Constraint | null {
  const value = config.get(key);
  if (value === undefined) return null;
  const named = isMap(value) ? (value.get("class_name") ?? value.get("className")) : value;
  const inner = isMap(value) ? value.get("config") : undefined;
  const numberOf = (name: string, otherwise: number): number => {
    const entry = isMap(inner) ? [...inner].find(([spelled]) => camelCase(spelled) === name)?.[1] : undefined;
    if (entry === undefined || entry === null) return otherwise;
    return typeof entry === "number" && Number.isFinite(entry)
      ? entry
      : config.wrong(key, `a finite number for ${name}`);
  };
  const axes = (): number[] => {
    const entry = isMap(inner) ? (inner.get("axis") ?? 0) : 0;
    const list: readonly Json[] = Array.isArray(entry) ? (entry as readonly Json[]) : [entry];
    if (!list.every((axis) => Number.isInteger(axis))) config.wrong(key, "integers for axis");
    return list as number[];
  };
  switch (typeof named === "string" ? capital(camelCase(named)) : "") {
    case "NonNeg":
      return (weight) =>
        float32(
          weight.shape,
          weight.data.map((w) => Math.max(w, 0)),
        );
    case "UnitNorm":
      return byNorm(axes(), (norm) => 1 / (EPSILON + norm));
    case "MaxNorm": {
      const max = numberOf("maxValue", 2);
      return byNorm(axes(), (norm) => Math.min(norm, max) / (EPSILON + norm));
    }
    case "MinMaxNorm": {
      const min = numberOf("minValue", 0);
      const max = numberOf("maxValue", 1);
      const rate = numberOf("rate", 1);
      return byNorm(axes(), (norm) => {
        const clipped = Math.min(Math.max(norm, min), max);
        return (rate * clipped + (1 - rate) * norm) / (EPSILON + norm);
      });
    }
    default:
      return config.wrong(key, "MaxNorm, UnitNorm, NonNeg or MinMaxNorm");
  }
}

function capital(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** `w * factor(norm of w along axes)`. */
function byNorm(axes: readonly number[], factor: (norm: number) => number): Constraint {
  return (weight) => {
    const { shape, data } = weight;
    const reduced = new Set(axes.map((axis) => (axis < 0 ? axis + shape.length : axis)));
    const group = groupIndices(shape, reduced);
    const sums = new Map<number, number>();
    data.forEach((w, i) => sums.set(group[i] as number, (sums.get(group[i] as number) ?? 0) + w * w));
    return float32(
      shape,
      data.map((w, i) => w * factor(Math.sqrt(sums.get(group[i] as number) ?? 0))),
    );
  };
}

/** For each element the index of its group: its position on the axes that are not reduced. */
function groupIndices(shape: readonly number[], reduced: ReadonlySet<number>): Int32Array {
  let groups = new Int32Array([0]);
  shape.forEach((size, axis) => {
    const next = new Int32Array(groups.length * size);
    for (let i = 0; i < groups.length; i++) {
      for (let j = 0; j < size; j++) {
        next[i * size + j] = reduced.has(axis) ? (groups[i] as number) : (groups[i] as number) * size + j;
      }
    }
    groups = next;
  });
  return groups;
}

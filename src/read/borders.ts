// Four margins of an image as tfjs configs give them: one number, two, or two pairs.

import type { LayerConfig } from "./config.js";
import { isList, type Json } from "./model-json.js";

export type Borders = readonly [
  readonly [top: number, bottom: number],
  readonly [left: number, right: number],
];

/** @throws QdgError `unsupported-layer` when the key holds no non-negative integers */
export function readBorders(config: LayerConfig, key: string, otherwise?: number): Borders {
  const value: Json = config.get(key) ?? otherwise ?? null;
  const both = isList(value) && value.length === 2 ? value : [value, value];
  const [rows, columns] = both.map((side): readonly [number, number] => {
    const pair = isList(side) ? side : [side, side];
    const [a, b] = pair;
    if (pair.length !== 2 || !isCount(a) || !isCount(b)) {
      return config.wrong(key, "n, [h, w] or [[top, bottom], [left, right]] with integers >= 0");
    }
    return [a, b];
  });
  return [rows ?? [0, 0], columns ?? [0, 0]];
}

function isCount(value: Json | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

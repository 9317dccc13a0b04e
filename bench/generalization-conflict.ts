// How far the two gradients of scales were in conflict over a run, from what it has written into freezing.jsonl: what a
// row of results keeps of it.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { mean } from "./generalization-table.js";

/** Means over the windows of a run and over its scales, all from 0 to 1 but the cosine. */
export interface RoleConflict {
  readonly scales: number;
  readonly taskDisorder: number;
  readonly smoothnessDisorder: number;
  /** Share of the steps at which the signs of the two differed. */
  readonly opposed: number;
  /** Of the two over a window. */
  readonly cosine: number;
}

export interface RunConflict {
  readonly windows: number;
  /** Steps of each. */
  readonly steps: number;
  readonly weights: RoleConflict;
  readonly activations: RoleConflict;
  /** Share of the layers whose cosine over a window was below 0, mean over the windows. */
  readonly opposingLayers: number;
  /** Share of the steps at which a layer's two gradients opposed each other, mean over layers and windows. */
  readonly layersOpposed: number;
  /** Share of the scales that was frozen, mean over the windows. */
  readonly frozen: number;
}

interface Window {
  readonly steps: number;
  readonly disorder: Readonly<Record<string, readonly (number | null)[]>>;
  readonly smoothnessDisorder: Readonly<Record<string, readonly (number | null)[]>>;
  readonly opposed: Readonly<Record<string, readonly (number | null)[]>>;
  readonly cosine: Readonly<Record<string, readonly (number | null)[]>>;
  readonly frozen: Readonly<Record<string, readonly number[]>>;
  readonly layers: Readonly<Record<string, { readonly opposed: number; readonly cosine: number }>>;
}

/** null for a run of a method without windows. @param folder of the run */
export function runConflict(folder: string): RunConflict | null {
  const path = join(folder, "freezing.jsonl");
  if (!existsSync(path)) return null;
  const windows = readFileSync(path, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Window);
  const [first] = windows;
  if (!first) return null;
  const { quantizers } = JSON.parse(readFileSync(join(folder, "run.json"), "utf8")) as {
    readonly quantizers: readonly { readonly id: string; readonly role: "weight" | "activation" }[];
  };
  const roles = new Map(quantizers.map(({ id, role }) => [`${id}/scale`, role]));
  const ofRole = (role: "weight" | "activation"): RoleConflict => {
    const names = Object.keys(first.disorder).filter((name) => roles.get(name) === role);
    const of = (key: "disorder" | "smoothnessDisorder" | "opposed" | "cosine"): number =>
      mean(
        windows.flatMap((window) =>
          names.flatMap((name) =>
            // A cosine of exactly 0, as runs of older code have it, is of a scale without a gradient too.
            (window[key][name] ?? []).filter(
              (each, i) => each !== null && (window.cosine[name]?.[i] ?? 0) !== 0,
            ),
          ),
        ) as number[],
      );
    return {
      scales: names.flatMap((name) => first.disorder[name] ?? []).length,
      taskDisorder: of("disorder"),
      smoothnessDisorder: of("smoothnessDisorder"),
      opposed: of("opposed"),
      cosine: of("cosine"),
    };
  };
  const layers = windows.flatMap((window) => Object.values(window.layers));
  return {
    windows: windows.length,
    steps: first.steps,
    weights: ofRole("weight"),
    activations: ofRole("activation"),
    opposingLayers: mean(layers.map(({ cosine }) => (cosine < 0 ? 1 : 0))),
    layersOpposed: mean(layers.map(({ opposed }) => opposed)),
    frozen: mean(windows.flatMap(({ frozen }) => Object.values(frozen).flat())),
  };
}

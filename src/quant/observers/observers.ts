// The list of observers, by the names that users give. A new one is a file beside this and a line here.

import { MinMaxObserver } from "./minmax.js";
import { MseObserver } from "./mse.js";
import type { Observer } from "./observer.js";
import { PercentileObserver } from "./percentile.js";

export const OBSERVER_NAMES = ["minmax", "percentile", "mse"] as const;
export type ObserverName = (typeof OBSERVER_NAMES)[number];

/** Name -> a new observer that has seen nothing. */
export const observers: Readonly<Record<ObserverName, () => Observer>> = {
  minmax: () => new MinMaxObserver(),
  percentile: () => new PercentileObserver(),
  mse: () => new MseObserver(),
};

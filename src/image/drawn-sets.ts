// The sets of images that code draws: what each shows, for styles to draw and for training to open by name. One
// table; another set is another entry at its end. Draws nothing itself, and opens nothing.

import { QdgError } from "../base/error.js";
import { DIGIT_LABELS, type DigitLabel, digitOf } from "./draw-digits.js";
import { type Inside, type Random, SHAPE_LABELS, type ShapeLabel, shapeOf } from "./draw-shapes.js";

/** What a style draws one of: the classes of all sets. */
export type Figure = ShapeLabel | DigitLabel;

export interface FigureSet {
  /** Its classes, in the order of a model's outputs; sorted, as folders of these names would be. */
  readonly labels: readonly Figure[];
  /** The sine of the largest angle at which its figures stand, to either side. */
  readonly tilt: number;
  /** Whether a figure in the mirror is of its class still, so that training may flip images. */
  readonly mirrors: boolean;
  /** The figure of a class within the unit disc; its details are drawn from `random`. */
  insideOf(label: number, random: Random): Inside;
}

/** What --data calls them. */
export type DrawnSetName = "shapes-dg" | "digits-drawn";

/** By the name that --data gives. The order is part of the images: each set's random numbers begin after those of the sets above it. */
export const DRAWN_SETS: Readonly<Record<DrawnSetName, FigureSet>> = {
  "shapes-dg": {
    labels: SHAPE_LABELS,
    tilt: 0.5,
    mirrors: true,
    insideOf: (label, random) => shapeOf(SHAPE_LABELS[label] as ShapeLabel, random()),
  },
  // A 6 on its head is a 9, so digits stand within 10 degrees.
  "digits-drawn": {
    labels: DIGIT_LABELS,
    tilt: 0.17,
    mirrors: false,
    insideOf: (label, random) => digitOf(DIGIT_LABELS[label] as DigitLabel, random),
  },
};

/** In the order of the table. */
export const DRAWN_SET_NAMES = Object.keys(DRAWN_SETS) as readonly DrawnSetName[];

export function isDrawnSet(name: string): name is DrawnSetName {
  return Object.hasOwn(DRAWN_SETS, name);
}

/** A figure in its set. */
export interface PlacedFigure {
  readonly set: FigureSet;
  /** Index of its label in the set. */
  readonly label: number;
  /** Figures of the sets above it in the table. */
  readonly before: number;
}

/** Where `figure` is in the table; no two sets share a label. */
export function findFigure(figure: Figure): PlacedFigure {
  let before = 0;
  for (const name of DRAWN_SET_NAMES) {
    const set = DRAWN_SETS[name];
    const label = set.labels.indexOf(figure);
    if (label >= 0) return { set, label, before };
    before += set.labels.length;
  }
  throw new QdgError("internal", "drawn sets", `no set has ${figure}`);
}

// What sizes the same network could have, and how far each would be from the float network: for people to look at. Made
// of what was measured of single layers; no network is made for it.

import { decibels } from "../../quant/sqnr.js";
import { allocate, type BitOption, bytesOf, errorOf, type LayerOptions } from "./allocate.js";

export interface SizeAndError {
  readonly sizeBytes: number;
  /** Of the outputs, from the errors that layers make alone, added up. */
  readonly sqnrDb: number;
}

/** Networks that bits could be chosen as; all by the same estimate. */
export interface BitsFrontier {
  /** The best bits by layer for each size; sizes rise. */
  readonly points: readonly SizeAndError[];
  /** The same bits in all inner layers. */
  readonly uniform: readonly (SizeAndError & { readonly bits: number })[];
  /** What was written. */
  readonly chosen: SizeAndError;
}

const POINTS = 24;

/**
 * @param layers options of the layers that are free
 * @param isInner of each of them; the others take 8 bits where all inner layers have the same
 * @param rest bytes of all else
 * @param written the options that the file has
 * @returns null where an error is 0, which has no decibels
 */
export function frontierOf(
  layers: readonly LayerOptions[],
  isInner: readonly boolean[],
  rest: number,
  written: readonly BitOption[],
): BitsFrontier | null {
  const point = (options: readonly BitOption[]): SizeAndError => ({
    sizeBytes: Math.round(rest + bytesOf(options)),
    sqnrDb: Number(decibels(errorOf(options)).toPrecision(4)),
  });
  const [least, most] = [
    bytesOf(layers.map(([first]) => first)),
    bytesOf(layers.map((options) => options.at(-1) ?? options[0])),
  ];
  const points: SizeAndError[] = [];
  for (let i = 0; i < POINTS; i++) {
    const found = allocate(layers, least + ((most - least) * i) / (POINTS - 1));
    const next = found && point(found);
    const last = points.at(-1);
    // More room may be shared out otherwise and give nothing.
    if (next && (!last || (next.sizeBytes > last.sizeBytes && next.sqnrDb > last.sqnrDb))) points.push(next);
  }
  const uniform = (layers[0] ?? []).map(({ bits }) => ({
    bits,
    ...point(
      layers.map((options, i) => options.find((each) => each.bits === (isInner[i] ? bits : 8)) ?? options[0]),
    ),
  }));
  const frontier = { points, uniform, chosen: point(written) };
  const all = [...frontier.points, ...uniform, frontier.chosen];
  return all.every(({ sqnrDb }) => Number.isFinite(sqnrDb)) ? frontier : null;
}

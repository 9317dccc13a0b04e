// Betters bits by trial: moves room from layers to another and keeps what makes the whole network's error less
// (EvoPress, 2024). Errors of single layers do not add up quite; here they need not.

import type { BitOption, LayerOptions } from "./allocate.js";
import { bytesOf } from "./allocate.js";

export interface SearchLimits {
  /** Bytes of all layers. */
  readonly room: number;
  /** Whether there is time for another trial. */
  readonly goesOn: () => boolean;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

export interface SearchResult {
  readonly chosen: readonly BitOption[];
  /** Of the start and of what was chosen, which is not more. */
  readonly errorBefore: number;
  readonly error: number;
  readonly trials: number;
}

/** Layers that gain in one trial: mostly one. */
const MOST_GAINING = 3;

/**
 * @param start fits the room
 * @param trueError of the network with these bits
 */
export async function searchBits(
  layers: readonly LayerOptions[],
  start: readonly BitOption[],
  trueError: (chosen: readonly BitOption[]) => Promise<number>,
  { room, goesOn, random }: SearchLimits,
): Promise<SearchResult> {
  let chosen = start;
  const errorBefore = await trueError(start);
  let error = errorBefore;
  let trials = 0;
  const known = new Set([keyOf(start)]);
  // Where there are few layers all neighbours are soon known.
  let repeated = 0;
  while (goesOn() && repeated < 50 * layers.length) {
    const candidate = neighbour(layers, chosen, room, random);
    const key = candidate && keyOf(candidate);
    if (!candidate || key === null || known.has(key)) {
      repeated++;
      continue;
    }
    known.add(key);
    repeated = 0;
    trials++;
    const found = await trueError(candidate);
    if (found < error) [chosen, error] = [candidate, found];
  }
  return { chosen, errorBefore, error, trials };
}

/** Some layers go up one step, and others down until all fit; null where they cannot. */
function neighbour(
  layers: readonly LayerOptions[],
  chosen: readonly BitOption[],
  room: number,
  random: () => number,
): BitOption[] | null {
  const next = [...chosen];
  const gained = new Set<number>();
  const count = 1 + Math.floor(random() ** 2 * MOST_GAINING);
  for (let i = 0; i < count; i++) {
    const layer = Math.floor(random() * layers.length);
    const above = (layers[layer] as LayerOptions).find(({ bits }) => bits > (next[layer] as BitOption).bits);
    if (!above) continue;
    next[layer] = above;
    gained.add(layer);
  }
  if (gained.size === 0) return null;
  while (bytesOf(next) > room) {
    const canLose = [...layers.keys()].filter(
      (layer) =>
        !gained.has(layer) && (next[layer] as BitOption).bits > (layers[layer] as LayerOptions)[0].bits,
    );
    const layer = canLose[Math.floor(random() * canLose.length)];
    if (layer === undefined) return null;
    const below = (layers[layer] as LayerOptions).filter(
      ({ bits }) => bits < (next[layer] as BitOption).bits,
    );
    next[layer] = below.at(-1) as BitOption;
  }
  return next;
}

function keyOf(chosen: readonly BitOption[]): string {
  return chosen.map(({ bits }) => bits).join();
}

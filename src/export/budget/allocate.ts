// Shares room out among layers: which bits each gets, so that the errors that they bring add up to little. Knows numbers
// only; what they measure, and what bits a file can hold, is the caller's.

/** One number of bits that a layer can have. */
export interface BitOption {
  readonly bits: number;
  readonly bytes: number;
  /** What the layer adds to the network's error at these bits; errors of layers add up. */
  readonly error: number;
}

/** At least one, bits and bytes rising. */
export type LayerOptions = readonly [BitOption, ...BitOption[]];

/** Halvings of the multiplier: as many as two float64 can be apart. */
const HALVINGS = 200;

/**
 * `argmin over b of sum error_l(b_l)` subject to `sum bytes_l(b_l) <= room`, by equal marginal error per byte: each layer
 * takes the bits that are least in `error + lambda bytes`, with the least lambda that fits, by bisection; then the room
 * that is left goes to the layers that gain most per byte. The error is within that of one step of one layer of the least
 * there is (Shoham and Gersho, 1988; for networks BAQ, 2025).
 *
 * @returns an option of each layer; null when the least of all do not fit
 */
export function allocate(layers: readonly LayerOptions[], room: number): BitOption[] | null {
  const useful = layers.map(withoutVain);
  const least = useful.map(([first]) => first);
  if (bytesOf(least) > room) return null;
  const free = useful.map((options) => choice(options, 0));
  if (bytesOf(free) <= room) return free;
  let [low, high] = [0, 1];
  const steepest = Math.max(...useful.flatMap((options) => options.map(({ error }) => error)));
  // Beyond this no byte is worth its price.
  high = Math.max(high, 2 * steepest);
  for (let i = 0; i < HALVINGS; i++) {
    // Multipliers range over many powers of ten: halved in their logarithm, once both ends have one.
    const middle = low === 0 ? high / 1e3 : Math.sqrt(low * high);
    if (middle <= low || middle >= high) break;
    if (bytesOf(useful.map((options) => choice(options, middle))) <= room) high = middle;
    else low = middle;
  }
  return fill(
    useful,
    useful.map((options) => choice(options, high)),
    room,
  );
}

/**
 * {@link allocate} where bytes are predictions, off by some hundred: what a file that was made is over its size is taken off
 * what was chosen for it, so that each try has fewer bytes than the one before.
 *
 * @param overOf bytes that the file of a choice is over its size, made in this room; 0 and less fits
 * @returns of the last file: above 0 only where that with the least of all does not fit
 */
export async function allocateMade(
  layers: readonly LayerOptions[],
  room: number,
  overOf: (chosen: readonly BitOption[], room: number) => Promise<number>,
): Promise<number> {
  for (let left = room; ;) {
    const allocated = allocate(layers, left);
    const chosen = allocated ?? layers.map(([first]) => first);
    const over = await overOf(chosen, left);
    if (over <= 0 || !allocated) return over;
    left = bytesOf(chosen) - over;
  }
}

/** Without options that cost more than another and are no better: an error that was measured may rise by chance. */
function withoutVain([first, ...rest]: LayerOptions): LayerOptions {
  const kept: [BitOption, ...BitOption[]] = [first];
  for (const option of rest) if (option.error < (kept.at(-1) as BitOption).error) kept.push(option);
  return kept;
}

function choice(options: LayerOptions, multiplier: number): BitOption {
  let [best] = options;
  for (const option of options) {
    if (option.error + multiplier * option.bytes < best.error + multiplier * best.bytes) best = option;
  }
  return best;
}

/** Gives the room that is left away, at each step to the layer and the bits that gain most per byte. */
function fill(layers: readonly LayerOptions[], chosen: readonly BitOption[], room: number): BitOption[] {
  const filled = [...chosen];
  for (;;) {
    const left = room - bytesOf(filled);
    let best: { readonly layer: number; readonly option: BitOption; readonly gain: number } | null = null;
    for (const [layer, options] of layers.entries()) {
      const now = filled[layer] as BitOption;
      for (const option of options) {
        const more = option.bytes - now.bytes;
        if (more <= 0 || more > left) continue;
        const gain = (now.error - option.error) / more;
        if (gain > 0 && gain > (best?.gain ?? 0)) best = { layer, option, gain };
      }
    }
    if (!best) return filled;
    filled[best.layer] = best.option;
  }
}

export function bytesOf(chosen: readonly BitOption[]): number {
  return chosen.reduce((sum, { bytes }) => sum + bytes, 0);
}

export function errorOf(chosen: readonly BitOption[]): number {
  return chosen.reduce((sum, { error }) => sum + error, 0);
}

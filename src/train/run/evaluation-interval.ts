// How often a run is evaluated where nobody says. Counted in images, never by the clock: a run must be the same on a
// slow machine and a fast one.

/** An image that is trained on goes forward once, and backward by its values and by its weights. */
const PASSES_OF_A_STEP = 3;
/** Of the time of a run, about. */
const SHARE = 0.1;
/** A run of many steps is evaluated no more often: that is enough for a curve, and to choose a model from. */
const MOST = 10;

/**
 * Steps between evaluations: `max(steps / 10, E / (0.1 * 3 * P * B))`, at most `steps`, with E images an evaluation, B
 * images a step and P gradients a step. So a tenth of the time goes to evaluation, about.
 *
 * @param gradients P: 2 for a sharpness-aware method
 */
export function evaluationInterval(
  steps: number,
  evaluatedImages: number,
  imagesOfAStep: number,
  gradients: number,
): number {
  const affordable = evaluatedImages / (SHARE * PASSES_OF_A_STEP * gradients * imagesOfAStep);
  return Math.min(steps, Math.max(1, Math.floor(steps / MOST), Math.ceil(affordable)));
}

// How an image becomes the network's input. It belongs to the model: stored in the file at export, read
// back by parity, evaluation and deployment. Loads in browsers: no Node built-ins here.

/**
 * `x = (low + (high - low) * pixel / 255 - mean[c]) / std[c]`, pixel in 0..255 after resizing.
 *
 * `resize`: "stretch" scales both sides apart; "center-crop" first cuts the largest centered rectangle of
 * the target's aspect ratio. Channels: 3 is RGB (alpha over white), 1 is ITU-R BT.601 luma.
 */
export interface Preprocessing {
  readonly range: readonly [low: number, high: number];
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly resize: "stretch" | "center-crop";
}

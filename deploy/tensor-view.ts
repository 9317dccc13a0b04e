// Shows tensors: what they are, their first numbers, and an image where the shape is one.

import type { Tensor } from "../src/web.js";

const FIRST_NUMBERS = 12;
/** A shorter side is a list of numbers, and a longer one no picture that a page shows. */
const SIDES = { least: 8, most: 4096 } as const;

export function showTensors(place: HTMLElement, tensors: Readonly<Record<string, Tensor>>): void {
  place.replaceChildren(...Object.entries(tensors).map(([name, tensor]) => figureOf(name, tensor)));
}

function figureOf(name: string, tensor: Tensor): HTMLElement {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const numbers = Array.from(tensor.data as ArrayLike<number | bigint>, Number);
  const [low, high] = rangeOf(numbers);
  const title = document.createElement("strong");
  title.textContent = name;
  caption.append(title, ` ${tensor.dtype} [${tensor.shape.join(", ")}], ${short(low)} to ${short(high)}`);
  figure.append(caption);
  const image = imageOf(tensor);
  if (image) figure.append(drawn(name, numbers, image, low, high));
  const first = document.createElement("p");
  const more = numbers.length > FIRST_NUMBERS ? ", ..." : "";
  first.textContent = numbers.slice(0, FIRST_NUMBERS).map(short).join(", ") + more;
  figure.append(first);
  return figure;
}

interface ImageShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Distances of elements. */
  readonly row: number;
  readonly column: number;
  readonly channel: number;
}

/** Of one image of one or three channels, these first or last; null for any other shape. */
function imageOf({ shape }: Tensor): ImageShape | null {
  const [n, a = 0, b = 0, c = 0] = shape;
  if (shape.length !== 4 || n !== 1) return null;
  if (isChannels(c) && isSide(a) && isSide(b)) {
    return { height: a, width: b, channels: c, row: b * c, column: c, channel: 1 };
  }
  if (isChannels(a) && isSide(b) && isSide(c)) {
    return { height: b, width: c, channels: a, row: c, column: 1, channel: b * c };
  }
  return null;
}

function isChannels(size: number): boolean {
  return size === 1 || size === 3;
}

function isSide(size: number): boolean {
  return size >= SIDES.least && size <= SIDES.most;
}

/** The least number is black, the greatest white. */
function drawn(
  name: string,
  numbers: readonly number[],
  { height, width, channels, row, column, channel }: ImageShape,
  low: number,
  high: number,
): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${name} as an image of ${width} x ${height}`);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser has no 2D canvas");
  const image = context.createImageData(width, height);
  const scale = high > low ? 255 / (high - low) : 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const to = 4 * (y * width + x);
      for (let k = 0; k < 3; k++) {
        const from = y * row + x * column + (channels === 1 ? 0 : k) * channel;
        image.data[to + k] = ((numbers[from] ?? 0) - low) * scale;
      }
      image.data[to + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function rangeOf(numbers: readonly number[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const each of numbers) {
    low = Math.min(low, each);
    high = Math.max(high, each);
  }
  return [low, high];
}

/** Four digits of a number. */
export function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}

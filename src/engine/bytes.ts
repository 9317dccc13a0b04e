// Tensors of the engine: one sample of bytes, channels last, and where its axes are in the file.

import { QdgError } from "../base/error.js";
import { sizeOf } from "../base/tensor.js";
import { around } from "../compute/shapes.js";

/**
 * A tensor of uint8 for one sample. In memory it is an image [H, W, C], channels last, each position `step` bytes after the
 * one before, with a border that is written before it is read.
 */
export interface Bytes {
  readonly name: string;
  /** As in the file, the first axis 1. */
  readonly shape: readonly number[];
  /** The axis that stands last in memory; all others keep their order. */
  readonly channelAxis: number;
  readonly storage: Storage;
}

/** The memory of one or several tensors that hold the same bytes in the same order. */
export interface Storage {
  readonly H: number;
  readonly W: number;
  readonly C: number;
  /** Bytes from one position to the next, at least C: a multiple of 8, or 4. */
  step: number;
  /** Positions around the image, and the byte that they hold. */
  readonly border: Border;
  /** Of the first byte of the border; -1 until it is placed. */
  address: number;
}

export interface Border {
  top: number;
  left: number;
  bottom: number;
  right: number;
  value: number | null;
}

const BLOCK = 8;

/** [1, C, ...], [1, ..., C]: height and width of what is left are the last two axes, all before them rows too. */
export function imageOf(
  shape: readonly number[],
  channelAxis: number,
): { readonly H: number; readonly W: number; readonly C: number } {
  const others = shape.filter((_, axis) => axis !== channelAxis);
  const W = others.length > 1 ? (others.at(-1) as number) : 1;
  const H = sizeOf(others.slice(0, others.length > 1 ? -1 : undefined));
  return { H, W, C: shape[channelAxis] ?? 1 };
}

export function newBytes(name: string, shape: readonly number[], channelAxis: number): Bytes {
  const { H, W, C } = imageOf(shape, channelAxis);
  return {
    name,
    shape,
    channelAxis,
    storage: {
      H,
      W,
      C,
      step: Math.ceil(C / BLOCK) * BLOCK,
      border: { top: 0, left: 0, bottom: 0, right: 0, value: null },
      address: -1,
    },
  };
}

/** Asks for a border of at least these positions, which hold `value`. */
export function widenBorder(bytes: Bytes, asked: Omit<Border, "value">, value: number): void {
  const { border } = bytes.storage;
  if (asked.top <= 0 && asked.left <= 0 && asked.bottom <= 0 && asked.right <= 0) return;
  if (border.value !== null && border.value !== value) {
    throw new QdgError(
      "unsupported-op",
      bytes.name,
      `is read with zero points ${border.value} and ${value}, which the engine does not compute; use wasm`,
    );
  }
  border.value = value;
  border.top = Math.max(border.top, asked.top);
  border.left = Math.max(border.left, asked.left);
  border.bottom = Math.max(border.bottom, asked.bottom);
  border.right = Math.max(border.right, asked.right);
}

/** Bytes from one row to the next. */
export function pitchOf({ W, step, border }: Storage): number {
  return (border.left + W + border.right) * step;
}

/** Bytes of image and border. */
export function sizeOfStorage(storage: Storage): number {
  const { H, border } = storage;
  return (border.top + H + border.bottom) * pitchOf(storage);
}

/** The address of position (y, x), channel 0. */
export function addressOf(storage: Storage, y: number, x: number): number {
  const { border, step, address } = storage;
  return address + (border.top + y) * pitchOf(storage) + (border.left + x) * step;
}

/** Where the elements of a tensor stand, in the order of the file: element (o, c, i) at `positions[o inner + i] + c`. */
export interface Order {
  readonly outer: number;
  readonly channels: number;
  readonly inner: number;
  readonly positions: Uint32Array;
}

/** Addresses, once the tensor has one. */
export function addressOrder({ shape, channelAxis, storage }: Bytes): Order {
  return orderOf(shape, channelAxis, storage, addressOf(storage, 0, 0), pitchOf(storage), storage.step);
}

/** The address of each element in the order of the file. */
export function addressesOf(x: Bytes): Uint32Array {
  return elementsOf(addressOrder(x));
}

/** The place of each element of the file among those of the image. */
export function placesOf({ shape, channelAxis, storage }: Bytes): Uint32Array {
  const { W, C } = storage;
  return elementsOf(orderOf(shape, channelAxis, storage, 0, W * C, C));
}

function orderOf(
  shape: readonly number[],
  channelAxis: number,
  { W }: Storage,
  first: number,
  pitch: number,
  step: number,
): Order {
  // Axes after the channel's repeat within one channel, those before it around all channels.
  const [outer, channels, inner] = around(shape, channelAxis);
  const positions = new Uint32Array(outer * inner);
  for (let p = 0; p < positions.length; p++) {
    positions[p] = first + Math.floor(p / W) * pitch + (p % W) * step;
  }
  return { outer, channels, inner, positions };
}

function elementsOf({ outer, channels, inner, positions }: Order): Uint32Array {
  const elements = new Uint32Array(positions.length * channels);
  let index = 0;
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < inner; i++) elements[index++] = (positions[o * inner + i] as number) + c;
    }
  }
  return elements;
}

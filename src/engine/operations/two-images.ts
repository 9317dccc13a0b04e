// Sums and products of two images of bytes.

import { QdgError } from "../../base/error.js";
import type { Bytes } from "../bytes.js";
import { addressOf, pitchOf } from "../bytes.js";
import type { Limits, Operation } from "./operation.js";
import { overSpans } from "./spans.js";

/** QLinearAdd: `clip(roundHalfEven(fl(ra a + fl(rb b + offset))))`; the zero point of the result is in the offset. */
export interface FusedAdd {
  readonly where: string;
  readonly a: Bytes;
  readonly b: Bytes;
  readonly ratioA: number;
  readonly ratioB: number;
  readonly offset: number;
}

export function fusedAdd(
  { where, a, b, ratioA, ratioB, offset }: FusedAdd,
  y: Bytes,
  limits: Limits,
): Operation {
  checkAlike(where, a, b);
  return overSpans(where, [a, b], y, (memory, kernels) => {
    const target = memory.putTarget(limits.low, limits.high, 0);
    return ({ at, rows, length, pitches }) =>
      kernels.fusedAdd(...at, rows, length, ...pitches, ratioA, ratioB, offset, target);
  });
}

/** `requantize(a + b + offset, m)`. */
export interface IntegerAdd {
  readonly where: string;
  readonly a: Bytes;
  readonly b: Bytes;
  readonly offset: number;
  readonly multiplier: number;
}

export function integerAdd(
  { where, a, b, offset, multiplier }: IntegerAdd,
  y: Bytes,
  limits: Limits,
): Operation {
  checkAlike(where, a, b);
  return overSpans(where, [a, b], y, (memory, kernels) => {
    const target = memory.putTarget(limits.low, limits.high, limits.zeroPoint);
    return ({ at, rows, length, pitches }) =>
      kernels.integerAdd(...at, rows, length, ...pitches, offset, multiplier, target);
  });
}

/** `(a - za)(b - zb)` times m; b may be one position for all of a's. */
export interface Product {
  readonly where: string;
  readonly a: Bytes;
  readonly b: Bytes;
  readonly zeroA: number;
  readonly zeroB: number;
  readonly multiplier: number;
  /** The zero point is added before rounding, as QLinearMul does, or after. */
  readonly zeroPointFirst: boolean;
}

export function product(asked: Product, y: Bytes, limits: Limits): Operation {
  const swapped = isOnePosition(asked.a) && !isOnePosition(asked.b);
  const { where, multiplier, zeroPointFirst } = asked;
  const [a, zeroA, b, zeroB] = swapped
    ? [asked.b, asked.zeroB, asked.a, asked.zeroA]
    : [asked.a, asked.zeroA, asked.b, asked.zeroB];
  const broadcast = isOnePosition(b) && !isOnePosition(a);
  checkAlike(where, a, b, broadcast);
  return {
    where,
    reads: [a, b],
    writes: y,
    prepare: (memory, kernels) => {
      const { low, high, zeroPoint } = limits;
      const target = memory.putTarget(low, high, zeroPointFirst ? 0 : zeroPoint);
      const call = [
        addressOf(a.storage, 0, 0),
        addressOf(b.storage, 0, 0),
        addressOf(y.storage, 0, 0),
        a.storage.H,
        a.storage.W,
        Math.ceil(a.storage.C / 8) * 8,
        pitchOf(a.storage),
        a.storage.step,
        broadcast ? 0 : pitchOf(b.storage),
        broadcast ? 0 : b.storage.step,
        pitchOf(y.storage),
        y.storage.step,
        zeroA,
        zeroB,
        multiplier,
        zeroPointFirst ? zeroPoint : 0,
        target,
      ] as const;
      return () => kernels.product(...call);
    },
  };
}

function isOnePosition({ storage }: Bytes): boolean {
  return storage.H === 1 && storage.W === 1;
}

function checkAlike(where: string, a: Bytes, b: Bytes, broadcast = false): void {
  const alike =
    a.storage.C === b.storage.C &&
    (broadcast || (a.storage.H === b.storage.H && a.storage.W === b.storage.W));
  if (alike) return;
  throw new QdgError(
    "unsupported-op",
    where,
    `combines [${a.shape.join(", ")}] and [${b.shape.join(", ")}], which the engine does not compute; use wasm`,
  );
}

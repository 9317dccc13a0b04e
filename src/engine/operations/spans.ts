// Operations that treat all bytes of an image alike, position by position: as few long runs as memory allows.

import type { Bytes, Storage } from "../bytes.js";
import { addressOf, pitchOf } from "../bytes.js";
import type { EngineMemory } from "../memory.js";
import type { Kernels } from "../module.js";
import type { Operation } from "./operation.js";

/** Rows of bytes that the same positions of several images have: whole rows where their positions are equally far apart. */
interface Span<Each extends readonly number[]> {
  /** Where the first row of each image begins. */
  readonly at: Each;
  readonly rows: number;
  /** Bytes a row. */
  readonly length: number;
  /** From row to row of each image. */
  readonly pitches: Each;
}

/** Numbers of each that is read, then of what is written. */
type EachOf<Reads extends readonly unknown[]> = [...{ [Index in keyof Reads]: number }, number];

/** @param prepare gives the call of one span */
export function overSpans<Reads extends readonly [Bytes, ...Bytes[]]>(
  where: string,
  reads: readonly [...Reads],
  y: Bytes,
  prepare: (memory: EngineMemory, kernels: Kernels) => (span: Span<EachOf<Reads>>) => void,
): Operation {
  return {
    where,
    reads,
    writes: y,
    prepare: (memory, kernels) => {
      const call = prepare(memory, kernels);
      const spans = spansOf([...reads, y].map(({ storage }) => storage)) as unknown as Span<EachOf<Reads>>[];
      return () => {
        for (const span of spans) call(span);
      };
    },
  };
}

function spansOf(storages: readonly Storage[]): Span<readonly number[]>[] {
  const { H, W, C, step } = storages[0] as Storage;
  const channels = Math.ceil(C / 8) * 8;
  if (storages.every((storage) => storage.step === step)) {
    return [
      {
        at: storages.map((storage) => addressOf(storage, 0, 0)),
        rows: H,
        length: (W - 1) * step + channels,
        pitches: storages.map(pitchOf),
      },
    ];
  }
  return Array.from({ length: H }, (_, y) => ({
    at: storages.map((storage) => addressOf(storage, y, 0)),
    rows: W,
    length: channels,
    pitches: storages.map((storage) => storage.step),
  }));
}

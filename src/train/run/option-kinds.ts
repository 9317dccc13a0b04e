// What values an option takes, how they are read from text and what is said of wrong ones. Options themselves are
// in train-options.ts; loads in a moment, for --help.

import { QdgError } from "../../base/error.js";
import { parsePreprocessing } from "../../image/preprocessing.js";
import { MAX_BITS, MIN_BITS } from "../../quant/spec.js";
import type { TrainOptions } from "./train-options.js";

export type OptionKind =
  | { readonly type: "text" }
  | { readonly type: "names" }
  | { readonly type: "choice"; readonly of: readonly string[] }
  | { readonly type: "whole"; readonly least: number; readonly most?: number }
  /** Finite; `above` and `below` are not taken themselves. */
  | {
      readonly type: "real";
      readonly least?: number;
      readonly above?: number;
      readonly most?: number;
      readonly below?: number;
    }
  | { readonly type: "boolean" }
  | { readonly type: "preprocessing" }
  | { readonly type: "layer-bits" }
  /** Different bits, ascending; at least so many. */
  | { readonly type: "bit-list"; readonly least: number };

export interface OptionRow<T> {
  readonly kind: OptionKind;
  /** What follows the flag in --help: `<n>`. */
  readonly argument?: string;
  readonly help: string;
  /** A function of the options above it in the table; undefined where there is none. */
  readonly otherwise: T | undefined | ((known: TrainOptions) => T);
  /** The default in words, where it depends on others. */
  readonly says?: string;
  /** Whether null ("not asked, and decided later") is a value of it. */
  readonly nullable?: boolean;
  /** Whether a resumed run may have another value: it changes nothing in what is computed. */
  readonly free?: boolean;
}

export const TEXT: OptionKind = { type: "text" };
export const BOOLEAN: OptionKind = { type: "boolean" };
export const BITS: OptionKind = { type: "whole", least: MIN_BITS, most: MAX_BITS };

export const RATE: OptionKind = { type: "real", above: 0 };
export const SHARE: OptionKind = { type: "real", least: 0, below: 1 };

export function whole(least: number, most?: number): OptionKind {
  return { type: "whole", least, ...(most === undefined ? {} : { most }) };
}

export function choice(...of: readonly string[]): OptionKind {
  return { type: "choice", of };
}

/**
 * A value from the text of a command line; for `layer-bits` the path of a file, which the caller reads.
 *
 * @throws QdgError `usage`
 */
export function parseOption(kind: OptionKind, text: string, flag: string): unknown {
  switch (kind.type) {
    case "whole":
      // Number("") is 0 and Number("0x10") 16, which nobody meant.
      return checkedOption(kind, /^\d+$/.test(text) ? Number(text) : text, flag);
    case "real":
      return checkedOption(
        kind,
        /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : text,
        flag,
      );
    case "preprocessing":
      return parsePreprocessing(text, flag);
    case "bit-list": {
      const listed = text.split(",").map((bits) => bits.trim());
      const isWhole = listed.every((bits) => /^\d+$/.test(bits));
      return checkedOption(kind, isWhole ? listed.map(Number).sort((a, b) => a - b) : text, flag);
    }
    case "text":
    case "names":
    case "choice":
    case "boolean":
    case "layer-bits":
      return checkedOption(kind.type === "choice" ? kind : TEXT, text, flag);
    default:
      return kind satisfies never;
  }
}

/** @returns the value @throws QdgError `usage` for a value that is not of the kind */
export function checkedOption(kind: OptionKind, value: unknown, flag: string): unknown {
  if (isOfKind(kind, value)) return value;
  throw new QdgError("usage", flag, `got ${JSON.stringify(value)}, expected ${expected(kind)}`);
}

function isOfKind(kind: OptionKind, value: unknown): boolean {
  switch (kind.type) {
    case "text":
      return typeof value === "string" && value !== "";
    case "names":
      return (
        Array.isArray(value) &&
        value.length > 0 &&
        value.every((name) => typeof name === "string" && name !== "")
      );
    case "choice":
      return typeof value === "string" && kind.of.includes(value);
    case "whole":
      return (
        typeof value === "number" &&
        Number.isSafeInteger(value) &&
        value >= kind.least &&
        value <= (kind.most ?? value)
      );
    case "real":
      return typeof value === "number" && Number.isFinite(value) && isWithin(kind, value);
    case "boolean":
      return typeof value === "boolean";
    case "bit-list":
      return (
        Array.isArray(value) &&
        value.length >= kind.least &&
        value.every((bits, i) => isOfKind(BITS, bits) && (i === 0 || bits > value[i - 1]))
      );
    case "preprocessing":
    case "layer-bits":
      // Their own parsers have looked at what is inside.
      return typeof value === "object" && value !== null && !Array.isArray(value);
    default:
      return kind satisfies never;
  }
}

function isWithin(kind: OptionKind & { type: "real" }, value: number): boolean {
  const { least = value, above = -Infinity, most = value, below = Infinity } = kind;
  return value >= least && value > above && value <= most && value < below;
}

/** "a whole number from 2 to 8". */
function expected(kind: OptionKind): string {
  switch (kind.type) {
    case "text":
      return "a text";
    case "names":
      return "one name or more";
    case "choice":
      return kind.of.join(" or ");
    case "whole":
      return kind.most === undefined
        ? `a whole number >= ${kind.least}`
        : `a whole number from ${kind.least} to ${kind.most}`;
    case "real": {
      const { least, above, most, below } = kind;
      const bounds = [
        above === undefined ? "" : `> ${above}`,
        least === undefined ? "" : `>= ${least}`,
        most === undefined ? "" : `<= ${most}`,
        below === undefined ? "" : `< ${below}`,
      ];
      return `a number ${bounds.filter((bound) => bound !== "").join(" and ")}`.trimEnd();
    }
    case "boolean":
      return "true or false";
    case "bit-list":
      return `${kind.least} or more different bits of ${MIN_BITS} to ${MAX_BITS}, as 2,4,8`;
    case "preprocessing":
      return "low,high or JSON";
    case "layer-bits":
      return '{"layer": {"weightBits": b, "activationBits": b}}';
    default:
      return kind satisfies never;
  }
}

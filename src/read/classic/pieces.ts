// What one layer of a file becomes in the classic form: itself under another config, or several layers that tfjs has.
// Knows which operands a piece reads, never which layers those come from.

import { field, isList, isMap, type Json, type JsonMap } from "../model-json.js";

/** One layer of the classic form, within what a layer of the file becomes. */
export interface Piece {
  /** "" for the layer's own name, else `name_suffix`. */
  readonly suffix: string;
  readonly className: string;
  /** Without its name. */
  readonly config: JsonMap;
  /** "given": what the layer itself reads. Else operands of the layer by number, earlier pieces by suffix. */
  readonly inputs: "given" | readonly (number | string)[];
}

/** A layer as the file has it, as far as its pieces depend on it. */
export interface SourceLayer {
  readonly className: string;
  readonly config: JsonMap;
  /** `name (ClassName)`, for messages. */
  readonly where: string;
  /** Written by Keras 3, which computes some layers otherwise than tfjs does. */
  readonly keras3: boolean;
  /** Shapes of the operands of its first call, where the file tells them. */
  readonly shapes: readonly (readonly Json[] | null)[];
}

/** The whole layer as one piece. */
export function whole(className: string, config: JsonMap): Piece[] {
  return [{ suffix: "", className, config, inputs: "given" }];
}

export function settings(entries: Readonly<Record<string, Json>>): JsonMap {
  return new Map(Object.entries(entries));
}

/** `config` with keys replaced (in snake case) or, by undefined, left out. */
export function changed(config: JsonMap, changes: Readonly<Record<string, Json | undefined>>): JsonMap {
  const result = new Map(config);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) result.delete(key);
    else result.set(key, value);
  }
  return result;
}

/** `y = x * scale + offset`, scale and offset numbers or one number a channel. */
export function rescaling(
  suffix: string,
  scale: Json,
  offset: Json,
  inputs: Piece["inputs"] = "given",
): Piece {
  return { suffix, className: "Rescaling", config: settings({ scale, offset }), inputs };
}

/** Pieces one after the other: the first reads what the layer reads; the last bears the layer's name. */
export function chain(
  parts: readonly {
    readonly suffix: string;
    readonly className: string;
    readonly config: JsonMap;
  }[],
): Piece[] {
  let before: Piece["inputs"] = "given";
  return parts.map((part, index) => {
    const suffix = index === parts.length - 1 ? "" : part.suffix;
    const piece: Piece = { ...part, suffix, inputs: before };
    before = [suffix];
    return piece;
  });
}

/**
 * `relu6(x + 3) / 6`, which is what Keras 3 calls hard_sigmoid; tfjs's own is `clip(0.2 x + 0.5, 0, 1)`.
 *
 * @param suffix of the last piece
 */
export function hardSigmoid(inputs: Piece["inputs"], suffix: string): Piece[] {
  const relu6 = settings({ max_value: 6 });
  return [
    rescaling("plus_3", 1, 3, inputs),
    { suffix: "relu6", className: "ReLU", config: relu6, inputs: ["plus_3"] },
    rescaling(suffix, 1 / 6, 0, ["relu6"]),
  ];
}

/** `x relu6(x + 3) / 6`. */
export function hardSwish(operand: number | string, suffix: string): Piece[] {
  return [
    ...hardSigmoid([operand], "gate"),
    { suffix, className: "Multiply", config: new Map(), inputs: [operand, "gate"] },
  ];
}

/** The numbers of a constant: one, or a flat list, also as NumPy arrays are written; null for anything else. */
export function numbersOf(value: Json): readonly number[] | null {
  const inner = isMap(value) ? (field(value, "config") ?? value) : value;
  const held = isMap(inner) ? (field(inner, "value") ?? null) : inner;
  const list: readonly Json[] = isList(held) ? held : [held];
  const flat = list.length === 1 && isList(list[0]) ? list[0] : list;
  return flat.every((x): x is number => typeof x === "number" && Number.isFinite(x)) ? flat : null;
}

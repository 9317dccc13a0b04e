// Checks what a caller feeds to a session, once for all runtimes, so that a wrong name, type or shape reads
// the same everywhere. It must never change a feed: a runtime that converts in silence hides a mistake.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { arrayNameOf, isDataOf, sizeOf } from "../base/tensor.js";
import type { TensorInfo } from "./runtime.js";

/**
 * Every input has a feed of its dtype, rank and fixed sizes; a named size ("N") has one value throughout;
 * the data fills the shape; there is no feed that the model does not know.
 *
 * @param where the session, for messages
 * @throws QdgError `runtime`
 */
export function checkFeeds(
  inputs: readonly TensorInfo[],
  feeds: Readonly<Record<string, Tensor>>,
  where: string,
): void {
  if (typeof feeds !== "object" || feeds === null) {
    const got = feeds === null ? "null" : typeof feeds;
    throw new QdgError("runtime", where, `got ${got} for feeds, expected ${listOf(inputs)}, by name`);
  }
  const known = new Set(inputs.map((input) => input.name));
  for (const name of Object.keys(feeds)) {
    if (known.has(name)) continue;
    throw new QdgError(
      "runtime",
      where,
      `got a feed for "${name}", expected ${listOf(inputs)}; feed inputs by the model's names`,
    );
  }
  const sizes = new Map<string, { size: number; input: string }>();
  for (const input of inputs) {
    const feed = Object.hasOwn(feeds, input.name) ? feeds[input.name] : undefined;
    if (feed === undefined) {
      throw new QdgError(
        "runtime",
        where,
        `no feed for input "${input.name}", expected ${describe(input)}; feed every input`,
      );
    }
    checkFeed(input, feed, where);
    input.shape.forEach((dim, axis) => {
      if (typeof dim === "number" || dim === "") return;
      const size = feed.shape[axis] as number;
      const seen = sizes.get(dim);
      if (seen === undefined) {
        sizes.set(dim, { size, input: input.name });
      } else if (seen.size !== size) {
        throw new QdgError(
          "runtime",
          `${where}, input "${input.name}"`,
          `axis ${axis} (${dim}): got ${size}, expected ${seen.size} as in input "${seen.input}"; the two sizes share a name`,
        );
      }
    });
  }
}

function checkFeed(input: TensorInfo, feed: Tensor, where: string): void {
  const at = `${where}, input "${input.name}"`;
  // A page in plain JavaScript may pass anything.
  const { dtype, shape, data } = (feed ?? {}) as { readonly [Key in keyof Tensor]?: unknown };
  if (typeof dtype !== "string" || !Array.isArray(shape) || data === undefined) {
    throw new QdgError("runtime", at, `got no tensor, expected { dtype, shape, data } of ${describe(input)}`);
  }
  const got = `[${feed.shape.join(", ")}]`;
  const expected = `[${shapeText(input)}]`;
  if (feed.dtype !== input.dtype) {
    throw new QdgError("runtime", at, `dtype: got ${feed.dtype}, expected ${input.dtype}`);
  }
  if (!isDataOf(feed.dtype, feed.data)) {
    throw new QdgError(
      "runtime",
      at,
      `data: got no ${arrayNameOf(feed.dtype)}, which ${feed.dtype} is held in`,
    );
  }
  if (feed.shape.length !== input.shape.length) {
    throw new QdgError(
      "runtime",
      at,
      `rank: got ${feed.shape.length} ${got}, expected ${input.shape.length} ${expected}`,
    );
  }
  input.shape.forEach((dim, axis) => {
    const size = feed.shape[axis] as number;
    if (!Number.isInteger(size) || size < 0 || (typeof dim === "number" && size !== dim)) {
      throw new QdgError("runtime", at, `shape: got ${got}, expected ${expected}; axis ${axis} differs`);
    }
  });
  if (feed.data.length !== sizeOf(feed.shape)) {
    throw new QdgError(
      "runtime",
      at,
      `got ${feed.data.length} elements for shape ${got}, expected ${sizeOf(feed.shape)}`,
    );
  }
}

function shapeText(info: TensorInfo): string {
  return info.shape.map((dim) => (dim === "" ? "?" : dim)).join(", ");
}

function describe(info: TensorInfo): string {
  return `${info.dtype} [${shapeText(info)}]`;
}

function listOf(inputs: readonly TensorInfo[]): string {
  if (inputs.length === 0) return "no feed at all";
  return inputs.map((input) => `"${input.name}" ${describe(input)}`).join(", ");
}

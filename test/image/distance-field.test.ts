// Property tests against the definition: the nearest cell of the other kind, looked for one by one.

import * as fc from "fast-check";
import { expect, it } from "vitest";
import { signedDistance } from "../../src/image/distance-field.js";

function slow(mask: Uint8Array, size: number): number[] {
  return Array.from(mask, (own, i) => {
    let squared = Number.POSITIVE_INFINITY;
    mask.forEach((other, j) => {
      const dx = (i % size) - (j % size);
      const dy = Math.floor(i / size) - Math.floor(j / size);
      if (other !== own) squared = Math.min(squared, dx * dx + dy * dy);
    });
    const distance = squared === Number.POSITIVE_INFINITY ? size : Math.sqrt(squared) - 0.5;
    return Math.fround(own === 1 ? -distance : distance);
  });
}

it("is the distance to the nearest cell of the other kind, less half a cell", () => {
  const masks = fc.integer({ min: 1, max: 14 }).chain((size) =>
    fc.record({
      size: fc.constant(size),
      // From sparse to full: a threshold of 0 and of 100 leave one kind alone.
      threshold: fc.constantFrom(0, 3, 50, 97, 100),
      levels: fc.array(fc.nat(99), { minLength: size * size, maxLength: size * size }),
    }),
  );
  fc.assert(
    fc.property(masks, ({ size, threshold, levels }) => {
      const mask = Uint8Array.from(levels, (level) => (level < threshold ? 1 : 0));
      expect([...signedDistance(mask, size)]).toEqual(slow(mask, size));
    }),
    { numRuns: 200 },
  );
});

it("grows by one a cell away from a straight edge", () => {
  const mask = Uint8Array.from({ length: 36 }, (_, i) => (i % 6 < 3 ? 1 : 0));
  expect(Array.from(signedDistance(mask, 6).slice(0, 6))).toEqual([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]);
});

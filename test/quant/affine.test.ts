import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  clip,
  dequantize,
  fakeQuantize,
  forEachChannel,
  quantize,
  requantize,
  requantizeMultiplier,
  roundHalfEven,
} from "../../src/quant/affine.js";
import type { Quantization } from "../../src/quant/spec.js";
import { activationSpec, qmax, qmin, weightSpec } from "../../src/quant/spec.js";
import { anyQuantization, valuesAround } from "../support/arbitrary.js";

const anyCase = anyQuantization.chain((quantization) =>
  fc.tuple(fc.constant(quantization), valuesAround(quantization.params.scale[0] as number)),
);

/** Another way to round half to even: by the two neighbours, no additions of large numbers. */
function roundByNeighbours(x: number): number {
  const below = Math.floor(x);
  const above = Math.ceil(x);
  if (x - below < above - x) return below;
  if (x - below > above - x) return above;
  return below % 2 === 0 ? below : above;
}

/** Rounds to float32 by storing, not by Math.fround. */
function fl(x: number): number {
  return Float32Array.of(x)[0] as number;
}

describe("roundHalfEven", () => {
  test.each([
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [3.5, 4],
    [-0.5, 0],
    [-1.5, -2],
    [-2.5, -2],
    [254.5, 254],
    [255.5, 256],
    [0.49999997, 0],
    [0.50000006, 1],
    [2 ** 23 + 0.5, 2 ** 23],
    [2 ** 24 + 1, 2 ** 24 + 1],
    [-(2 ** 50) - 0.75, -(2 ** 50) - 1],
    [2 ** 51, 2 ** 51],
    [1e300, 1e300],
    [Infinity, Infinity],
    [-Infinity, -Infinity],
  ])("%f becomes %f", (x, expected) => {
    expect(roundHalfEven(x) + 0).toBe(expected);
  });

  test("is the nearest integer, the even one at a tie", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.double({ min: -(2 ** 51), max: 2 ** 51, noNaN: true }),
          fc.double({ min: -300, max: 300, noNaN: true }),
          fc.integer({ min: -(2 ** 30), max: 2 ** 30 }).map((halves) => halves / 2),
        ),
        (x) => {
          expect(roundHalfEven(x) + 0).toBe(roundByNeighbours(x) + 0);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("clip", () => {
  test.each([
    [5, 0, 3, 3],
    [-5, 0, 3, 0],
    [2, 0, 3, 2],
    [0, 0, 3, 0],
    [3, 0, 3, 3],
    [Infinity, -4, 3, 3],
    [-Infinity, -4, 3, -4],
    [NaN, -4, 3, -4],
  ])("clips %f to %f..%f: %f", (x, low, high, expected) => expect(clip(x, low, high)).toBe(expected));
});

describe("quantize and dequantize", () => {
  test("follow the formula, computed another way", () => {
    fc.assert(
      fc.property(anyCase, ([quantization, x]) => {
        const { spec, params } = quantization;
        const scale = params.scale[0] as number;
        const zeroPoint = params.zeroPoint[0] as number;
        const expected = [...x].map((value) => {
          const ratio = Float32Array.of(value / scale)[0] as number;
          const rounded = Number.isFinite(ratio) ? roundByNeighbours(ratio) : ratio;
          return Math.min(Math.max(rounded + zeroPoint, qmin(spec)), qmax(spec));
        });
        const q = quantize(x, [x.length], quantization);
        expect([...q]).toEqual(expected.map((integer) => integer + 0));
        const real = expected.map((integer) => Math.fround(Math.fround(integer - zeroPoint) * scale));
        expect([...dequantize(q, [x.length], quantization)]).toEqual(real);
      }),
    );
  });

  test("give back every integer of the range", () => {
    fc.assert(
      fc.property(anyQuantization, (quantization) => {
        const low = qmin(quantization.spec);
        const all = Int32Array.from({ length: qmax(quantization.spec) - low + 1 }, (_, i) => low + i);
        const x = dequantize(all, [all.length], quantization);
        expect(quantize(x, [x.length], quantization)).toEqual(all);
      }),
    );
  });

  test("keep 0 exactly", () => {
    fc.assert(
      fc.property(anyQuantization, (quantization) => {
        expect(fakeQuantize(Float32Array.of(0), [1], quantization)[0]).toBe(0);
      }),
    );
  });

  test("take NaN for the lowest integer and infinity for the ends", () => {
    const quantization: Quantization = {
      spec: weightSpec(3, null),
      params: { scale: Float32Array.of(1), zeroPoint: Int32Array.of(0) },
    };
    const x = Float32Array.of(NaN, Infinity, -Infinity);
    expect([...quantize(x, [3], quantization)]).toEqual([-4, 3, -4]);
  });

  test("divide in float32, as the operator does", () => {
    // x / scale is 2.5 - 1.2e-8 as a real number, a tie in float32: the even neighbour, 2, and not 3 for
    // its mirror image above.
    const scale = Math.fround(0.1);
    const quantization: Quantization = {
      spec: activationSpec(8, "non-negative"),
      params: { scale: Float32Array.of(scale), zeroPoint: Int32Array.of(0) },
    };
    const x = Float32Array.from({ length: 200 }, (_, i) => (i + 0.5) * 0.1);
    const q = quantize(x, [200], quantization);
    const ties = [...x].filter((value) => Math.fround(value / scale) % 1 === 0.5);
    const inexact = ties.filter((value) => (value / scale) % 1 !== 0.5);
    expect(inexact.length).toBeGreaterThan(10);
    for (const value of ties) expect((q[x.indexOf(value)] as number) % 2).toBe(0);
  });

  test("use float32 of the difference for an int32 bias, which can have more than 24 bits", () => {
    const quantization: Quantization = {
      spec: weightSpec(8, null),
      params: { scale: Float32Array.of(0.3), zeroPoint: Int32Array.of(0) },
    };
    const scale = Math.fround(0.3);
    const q = Int32Array.from({ length: 200 }, (_, i) => 2 ** 26 + 2 ** 20 * i + 3);
    const expected = Float32Array.from(q, (integer) => fl(integer) * scale);
    expect(expected).not.toEqual(Float32Array.from(q, (integer) => integer * scale));
    expect(dequantize(q, [q.length], quantization)).toEqual(expected);
  });
});

describe("fakeQuantize", () => {
  test("a second time changes nothing", () => {
    fc.assert(
      fc.property(anyCase, ([quantization, x]) => {
        const once = fakeQuantize(x, [x.length], quantization);
        expect(fakeQuantize(once, [x.length], quantization)).toEqual(once);
      }),
    );
  });

  test("never changes the order of two values", () => {
    fc.assert(
      fc.property(anyCase, ([quantization, x]) => {
        const y = fakeQuantize(x.slice().sort(), [x.length], quantization);
        expect([...y]).toEqual([...y].sort((a, b) => a - b));
      }),
    );
  });

  test("moves a value within the range by half a step at most", () => {
    fc.assert(
      fc.property(anyCase, ([quantization, x]) => {
        const { spec, params } = quantization;
        const scale = params.scale[0] as number;
        const [low, high] = dequantize([qmin(spec), qmax(spec)], [2], quantization) as unknown as number[];
        const y = fakeQuantize(x, [x.length], quantization);
        x.forEach((value, i) => {
          const inside = Math.min(Math.max(value, low as number), high as number);
          // The ratio and the product each round once, at up to 256 steps: 2 * 256 * 2^-24 of a step.
          expect(Math.abs((y[i] as number) - inside)).toBeLessThanOrEqual((scale / 2) * (1 + 2 ** -14));
        });
      }),
    );
  });
});

describe("scales along an axis", () => {
  test.each([
    ["the first of two", [2, 3], 0, [0, 0, 0, 1, 1, 1]],
    ["the last of two", [2, 3], 1, [0, 1, 2, 0, 1, 2]],
    ["the middle of three", [2, 2, 2], 1, [0, 0, 1, 1, 0, 0, 1, 1]],
    ["none", [2, 3], null, [0, 0, 0, 0, 0, 0]],
  ])("run along %s", (_, shape, axis, channelOf) => {
    const channels = axis === null ? 1 : (shape[axis] as number);
    const params = { scale: new Float32Array(channels).fill(1), zeroPoint: new Int32Array(channels) };
    const seen: number[] = [];
    forEachChannel(shape, axis, params, channelOf.length, (start, end, k) => {
      for (let i = start; i < end; i++) seen[i] = k;
    });
    expect(seen).toEqual(channelOf);
  });

  test("of another number than the axis has are a bug, and say so", () => {
    const params = { scale: new Float32Array(2).fill(1), zeroPoint: new Int32Array(2) };
    expect(() => forEachChannel([3, 1], 0, params, 3, () => undefined)).toThrow("got 2 scales for axis 0");
  });
});

describe("requantize", () => {
  test("rounds to float32 after each of its steps", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        fc.double({ min: 1e-6, max: 4, noNaN: true }).map(Math.fround),
        fc.double({ min: -4, max: 4, noNaN: true }).map(Math.fround),
        fc.double({ min: 1e-3, max: 4, noNaN: true }).map(Math.fround),
        fc.integer({ min: 0, max: 255 }),
        (acc, scaleX, scaleW, scaleY, zeroPoint) => {
          const m = fl(fl(scaleX * scaleW) / scaleY);
          expect(requantizeMultiplier(scaleX, scaleW, scaleY)).toBe(m);
          const rounded = roundByNeighbours(fl(fl(acc) * m));
          const expected = Math.min(Math.max(rounded + zeroPoint, 0), 255);
          expect(requantize(acc, m, zeroPoint, 0, 255) + 0).toBe(expected + 0);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test.each([
    [5, 0.5, 0, 2],
    [7, 0.5, 0, 4],
    [-5, 0.5, 128, 126],
    [1000, 1, 0, 255],
    [-1000, 1, 128, 0],
    [3, -0.5, 128, 126],
    [2 ** 24 + 1, 2 ** -17, 0, 128],
  ])("%i times %f from zero point %i is %i", (acc, multiplier, zeroPoint, expected) => {
    expect(requantize(acc, multiplier, zeroPoint, 0, 255)).toBe(expected);
  });
});

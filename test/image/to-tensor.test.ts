import { describe, expect, test } from "vitest";
import type { Image } from "../../src/image/image.js";
import { type ImageInput, imageToTensor, writeImage } from "../../src/image/to-tensor.js";

const pixels: Image = {
  width: 2,
  height: 2,
  channels: 3,
  data: Uint8Array.from([0, 51, 102, 153, 204, 255, 255, 0, 0, 0, 255, 0]),
};

const input: ImageInput = {
  preprocessing: { range: [0, 1], mean: [0], std: [1], resize: "stretch" },
  height: 2,
  width: 2,
  channels: 3,
  layout: "nhwc",
};

describe("imageToTensor", () => {
  test("scales pixels to the range, channels last or first", () => {
    const last = imageToTensor(pixels, input);
    expect(last.shape).toEqual([1, 2, 2, 3]);
    expect([...last.data]).toEqual([...pixels.data].map((pixel) => Math.fround(pixel / 255)));
    const first = imageToTensor(pixels, { ...input, layout: "nchw" });
    expect(first.shape).toEqual([1, 3, 2, 2]);
    expect([...first.data]).toEqual(
      [0, 1, 2].flatMap((c) => [0, 1, 2, 3].map((i) => last.data[3 * i + c] as number)),
    );
  });

  test("subtracts the mean and divides by std, channel by channel", () => {
    const { data } = imageToTensor(pixels, {
      ...input,
      preprocessing: { range: [-1, 1], mean: [0, 0.5, -1], std: [1, 2, 0.5], resize: "stretch" },
    });
    // The first pixel is 0, 51, 102 of 255.
    expect(Array.from(data.slice(0, 3))).toEqual([-1, -0.55, 1.6].map(Math.fround));
    // The second is 153, 204, 255.
    expect(Array.from(data.slice(3, 6))).toEqual([0.2, 0.05, 4].map((x) => expect.closeTo(x, 6)));
  });

  test("rounds once to float32", () => {
    const preprocessing = { range: [0.1, 0.7], mean: [0.3], std: [0.9], resize: "stretch" } as const;
    const { data } = imageToTensor(pixels, { ...input, preprocessing });
    expect([...data]).toEqual(
      [...pixels.data].map((p) => Math.fround((0.1 + ((0.7 - 0.1) * p) / 255 - 0.3) / 0.9)),
    );
  });

  test("makes one channel of luma by BT.601, where gray stays as it is", () => {
    const { data, shape } = imageToTensor(pixels, {
      ...input,
      channels: 1,
      preprocessing: { range: [0, 255], mean: [0], std: [1], resize: "stretch" },
    });
    expect(shape).toEqual([1, 2, 2, 1]);
    // 0.299 R + 0.587 G + 0.114 B
    expect([...data]).toEqual([42, 195, 76, 150]);
    for (let gray = 0; gray < 256; gray++) {
      const image = { width: 1, height: 1, channels: 3, data: new Uint8Array(3).fill(gray) };
      const range255 = { range: [0, 255], mean: [0], std: [1], resize: "stretch" } as const;
      const result = imageToTensor(image, {
        ...input,
        height: 1,
        width: 1,
        channels: 1,
        preprocessing: range255,
      });
      expect(result.data[0]).toBe(gray);
    }
  });

  test("stretches, or cuts the center out first", () => {
    const wide: Image = {
      width: 4,
      height: 1,
      channels: 3,
      data: Uint8Array.from([10, 100, 120, 200].flatMap((v) => [v, v, v])),
    };
    const one = { ...input, height: 1, width: 1 };
    const range = [0, 255] as const;
    const stretch = { range, mean: [0], std: [1], resize: "stretch" } as const;
    expect(imageToTensor(wide, { ...one, preprocessing: stretch }).data[0]).toBe(108);
    const crop = { ...stretch, resize: "center-crop" } as const;
    expect(imageToTensor(wide, { ...one, preprocessing: crop }).data[0]).toBe(100);
  });
});

describe("writeImage", () => {
  test("writes one slot of a batch and nothing else", () => {
    const batch = new Float32Array(3 * 12).fill(9);
    writeImage(pixels, input, batch, 1);
    expect(Array.from(batch.slice(12, 24))).toEqual([...imageToTensor(pixels, input).data]);
    expect([...batch.slice(0, 12), ...batch.slice(24)].every((x) => x === 9)).toBe(true);
  });

  test.each([3, -1, 0.5])("refuses slot %d of three", (slot) => {
    expect(() => writeImage(pixels, input, new Float32Array(36), slot)).toThrow(/outside a batch/);
  });

  test("refuses an image of other than three channels, and a mean for other channels", () => {
    const gray = { ...pixels, channels: 1, data: new Uint8Array(4) };
    expect(() => imageToTensor(gray, input)).toThrow(/channels: got 1, expected 3/);
    const preprocessing = { ...input.preprocessing, mean: [0, 0] };
    expect(() => imageToTensor(pixels, { ...input, preprocessing })).toThrow(/mean: got 2 numbers/);
    expect(() => imageToTensor(pixels, { ...input, width: 0 })).toThrow(/width: got 0/);
  });
});

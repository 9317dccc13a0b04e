import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { decodeImage } from "../../src/image/decode.js";
import { decodeBrowserImage, overWhite } from "../../src/web/decode-image.js";
import type { ImageLike } from "../../src/web/decode-image.js";

const WHITE = { width: 1, height: 1, data: new Uint8ClampedArray(4).fill(255) };

describe("overWhite", () => {
  test("is what Node makes of a PNG, for every value and every alpha", async () => {
    const rgba = new Uint8ClampedArray(256 * 256 * 4);
    for (let value = 0; value < 256; value++) {
      for (let alpha = 0; alpha < 256; alpha++) {
        rgba.set([value, 255 - value, (7 * value) % 256, alpha], 4 * (256 * value + alpha));
      }
    }
    const png = await sharp(Buffer.from(rgba.buffer), { raw: { width: 256, height: 256, channels: 4 } })
      .png()
      .toBuffer();
    const node = await decodeImage(png);
    const browser = overWhite(rgba, 256, 256);
    expect(Buffer.from(browser.data).equals(Buffer.from(node.data))).toBe(true);
  });

  test("leaves opaque pixels as they are and makes transparent ones white", () => {
    const rgba = Uint8ClampedArray.of(1, 2, 3, 255, 1, 2, 3, 0);
    expect(overWhite(rgba, 2, 1).data).toEqual(Uint8Array.of(1, 2, 3, 255, 255, 255));
  });
});

describe("decodeBrowserImage", () => {
  test("takes ImageData by its bytes, without a canvas", async () => {
    const data = Uint8ClampedArray.of(10, 20, 30, 255, 40, 50, 60, 255);
    const image = { width: 1, height: 2, channels: 3, data: Uint8Array.of(10, 20, 30, 40, 50, 60) };
    expect(await decodeBrowserImage({ width: 1, height: 2, data, colorSpace: "srgb" })).toEqual(image);
    expect(await decodeBrowserImage(image)).toBe(image);
  });

  test.each<[string, unknown, string]>([
    ["null", null, "image: got object, expected a Blob or File"],
    ["a text", "cat.png", "image: got string, expected a Blob or File"],
    ["ImageData of another color space", { ...WHITE, colorSpace: "display-p3" }, "got display-p3"],
    ["ImageData of floats", { ...WHITE, data: new Float32Array(4) }, "got other samples than 8-bit ones"],
    ["ImageData that does not fill its size", { ...WHITE, height: 2 }, "got 4 samples, expected 8"],
    ["an empty picture", { ...WHITE, width: 0, data: new Uint8ClampedArray(0) }, "got 0 x 1 pixels"],
    ["a picture with a broken size", { ...WHITE, width: 0.5 }, "got 0.5 x 1 pixels"],
    ["more pixels than are taken", { ...WHITE, width: 20_000, height: 20_000 }, "up to 100000000 pixels"],
    [
      "an Image that does not fill its size",
      { width: 2, height: 1, channels: 3, data: new Uint8Array(3) },
      "got 3 samples, expected 6",
    ],
    ["a Blob where there is no browser", new Blob(["x"]), "there is no browser here to decode it"],
  ])("refuses %s", async (_, source, message) => {
    await expect(decodeBrowserImage(source as ImageLike)).rejects.toThrow(message);
  });
});

import { describe, expect, test } from "vitest";
import { decodeImage } from "../../src/image/decode.js";
import { encodePng } from "../../src/image/encode.js";

describe("encodePng", () => {
  test("gives a file that decodes to the same bytes", async () => {
    const data = Uint8Array.from({ length: 7 * 5 * 3 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 24);
    const image = { width: 7, height: 5, channels: 3, data };
    expect(await decodeImage(await encodePng(image))).toEqual(image);
  });

  test("refuses other than three channels, and data that does not fill the image", async () => {
    const gray = { width: 2, height: 2, channels: 1, data: new Uint8Array(4) };
    await expect(encodePng(gray)).rejects.toThrow(/channels: got 1, expected 3 \[invalid-data\]$/);
    await expect(encodePng({ ...gray, channels: 3 })).rejects.toThrow(/got 4 samples, expected 12/);
  });
});

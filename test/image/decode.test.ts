import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeImage, MAX_PIXELS, pixelsInFlight, useImage } from "../../src/image/decode.js";

/** Two pixels wide, three high, all six different. */
const PIXELS = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 0, 0, 255, 255, 10, 20, 30];

const picture = (): Sharp => sharp(Uint8Array.from(PIXELS), { raw: { width: 2, height: 3, channels: 3 } });

const plain = (r: number, g: number, b: number, alpha?: number): Sharp =>
  sharp({
    create: {
      width: 16,
      height: 16,
      channels: alpha === undefined ? 3 : 4,
      background: { r, g, b, alpha: alpha ?? 1 },
    },
  });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-decode-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("an image waits while the pixels of others, or of those before it, are too many", async () => {
  const bytes = await picture().png().toBuffer();
  const order: string[] = [];
  const used = (name: string): Promise<number> => useImage(bytes, () => order.push(name));
  let done: Promise<unknown> = Promise.resolve();
  await pixelsInFlight.spend(MAX_PIXELS - 5, async () => {
    done = Promise.all([used("first"), used("second")]);
    // Decoding takes a millisecond or two, once it may begin.
    await new Promise((resolve) => setTimeout(resolve, 300));
    order.push("others");
  });
  await done;
  expect(order[0]).toBe("others");
  expect(order).toHaveLength(3);
});

describe("decodeImage", () => {
  test("gives the pixels of a lossless file, from a path and from bytes", async () => {
    const bytes = await picture().png().toBuffer();
    const path = join(folder, "six.png");
    await writeFile(path, bytes);
    const expected = { width: 2, height: 3, channels: 3, data: Uint8Array.from(PIXELS) };
    expect(await decodeImage(path)).toEqual(expected);
    expect(await decodeImage(new Uint8Array(bytes))).toEqual(expected);
  });

  test.each(["jpeg", "png", "webp", "gif", "tiff", "avif"] as const)("reads %s", async (format) => {
    const { width, height, channels, data } = await decodeImage(
      await plain(200, 100, 50).toFormat(format).toBuffer(),
    );
    expect([width, height, channels, data.length]).toEqual([16, 16, 3, 768]);
    expect(Math.abs((data[0] as number) - 200)).toBeLessThan(8);
    expect(Math.abs((data[1] as number) - 100)).toBeLessThan(8);
    expect(Math.abs((data[2] as number) - 50)).toBeLessThan(8);
  });

  test.each([
    // Where the first stored pixel (red) is after turning, of six in rows.
    [1, 2, 3, 0],
    [2, 2, 3, 1],
    [3, 2, 3, 5],
    [4, 2, 3, 4],
    [5, 3, 2, 0],
    [6, 3, 2, 2],
    [7, 3, 2, 5],
    [8, 3, 2, 3],
  ])("turns EXIF orientation %i upright", async (orientation, width, height, red) => {
    const image = await decodeImage(await picture().withMetadata({ orientation }).png().toBuffer());
    expect([image.width, image.height]).toEqual([width, height]);
    expect(Array.from(image.data.slice(3 * red, 3 * red + 3))).toEqual([255, 0, 0]);
  });

  test("lays alpha over white", async () => {
    const half = await decodeImage(await plain(100, 0, 200, 0.5).png().toBuffer());
    for (const [c, expected] of [178, 128, 228].entries()) {
      expect(Math.abs((half.data[c] as number) - expected)).toBeLessThanOrEqual(1);
    }
    const clear = await decodeImage(await plain(0, 0, 0, 0).png().toBuffer());
    expect(clear.data.every((value) => value === 255)).toBe(true);
  });

  test("makes three equal channels of a gray file", async () => {
    const gray = sharp(Uint8Array.of(0, 100, 200, 255), { raw: { width: 2, height: 2, channels: 1 } });
    const image = await decodeImage(await gray.toColourspace("b-w").png().toBuffer());
    expect([...image.data]).toEqual([0, 0, 0, 100, 100, 100, 200, 200, 200, 255, 255, 255]);
    const jpeg = await decodeImage(await gray.toColourspace("b-w").jpeg({ quality: 100 }).toBuffer());
    expect(jpeg.channels).toBe(3);
    expect(jpeg.data[0]).toBe(jpeg.data[1]);
  });

  test("brings 16 bits down to 8", async () => {
    const deep = sharp(Uint16Array.of(0, 0x8080, 0xffff), { raw: { width: 1, height: 1, channels: 3 } });
    const bytes = await deep.toColourspace("rgb16").png().toBuffer();
    expect((await sharp(bytes).metadata()).depth).toBe("ushort");
    expect([...(await decodeImage(bytes)).data]).toEqual([0, 128, 255]);
  });

  test("converts CMYK to sRGB", async () => {
    const bytes = await plain(200, 60, 60).toColourspace("cmyk").jpeg({ quality: 100 }).toBuffer();
    expect((await sharp(bytes).metadata()).space).toBe("cmyk");
    const { channels, data } = await decodeImage(bytes);
    expect(channels).toBe(3);
    expect(data[0]).toBeGreaterThan(150);
    expect(data[1]).toBeLessThan(120);
    expect(data[2]).toBeLessThan(120);
  });

  test("takes the first picture of an animation", async () => {
    const frames = [...Array<number>(12).fill(0), ...Array<number>(12).fill(255)];
    const gif = await sharp(Uint8Array.from(frames), {
      raw: { width: 2, height: 4, channels: 3, pageHeight: 2 },
    })
      .gif({ loop: 0, delay: [100, 100] })
      .toBuffer();
    expect((await sharp(gif).metadata()).pages).toBe(2);
    expect(await decodeImage(gif)).toEqual({ width: 2, height: 2, channels: 3, data: new Uint8Array(12) });
  });

  test.each([
    ["text", (): Uint8Array => new TextEncoder().encode("no image"), /cannot be decoded/],
    ["nothing", (): Uint8Array => new Uint8Array(0), /the file is empty/],
    [
      "SVG, which is a program",
      (): Uint8Array =>
        new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
      /format: got svg/,
    ],
  ])("refuses %s", async (_, bytes, message) => {
    await expect(decodeImage(bytes(), "pets/cat.png")).rejects.toThrow(message);
    await expect(decodeImage(bytes(), "pets/cat.png")).rejects.toThrow(
      /^pets\/cat\.png: .*\[invalid-data\]$/,
    );
  });

  test.each(["jpeg", "png", "webp"] as const)("refuses a %s file cut short", async (format) => {
    const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 24);
    const whole = await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
      .toFormat(format)
      .toBuffer();
    await decodeImage(whole);
    const path = join(folder, `short.${format}`);
    await writeFile(path, whole.subarray(0, whole.length / 2));
    await expect(decodeImage(path)).rejects.toThrow(
      expect.objectContaining({ code: "invalid-data", where: path }),
    );
  });

  test("refuses more pixels than it is willing to hold, by what the header says", async () => {
    const png = Buffer.from(await plain(0, 0, 0).png().toBuffer());
    // Width and height of IHDR; its checksum is not looked at before the size.
    png.writeUInt32BE(20_000, 16);
    png.writeUInt32BE(20_000, 20);
    expect(20_000 * 20_000).toBeGreaterThan(MAX_PIXELS);
    await expect(decodeImage(png)).rejects.toThrow(expect.objectContaining({ code: "invalid-data" }));
  });

  test("says that a file is not there", async () => {
    await expect(decodeImage(join(folder, "none.png"))).rejects.toThrow(
      expect.objectContaining({ code: "not-found" }),
    );
  });

  test("is the only file that names sharp", async () => {
    const { readdir } = await import("node:fs/promises");
    const files = (await readdir("src", { recursive: true })).filter((file) => file.endsWith(".ts"));
    const texts = await Promise.all(files.map((file) => readFile(join("src", file), "utf8")));
    expect(files.filter((_, i) => /["']sharp["']\)?;?/.test(texts[i] as string))).toEqual([
      join("image", "decode.ts"),
    ]);
  });
});

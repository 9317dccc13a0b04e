// Folders made on the spot. The oracle for pixels is imageToTensor on the decoded file: what a deployed network
// is fed.

import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeImage } from "../../../src/image/decode.js";
import { encodePng } from "../../../src/image/encode.js";
import { imageToTensor } from "../../../src/image/to-tensor.js";
import type { Dataset, Domain } from "../../../src/train/data/dataset.js";
import { defaultCacheFolder } from "../../../src/train/data/image-cache.js";
import {
  domainNames,
  leastSide,
  openDataset,
  type OpenOptions,
} from "../../../src/train/data/open-dataset.js";

let top: string;
let folder: string;
let cacheFolder: string;
beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), "qdg-dataset-"));
  folder = join(top, "data");
  cacheFolder = join(top, "cache");
});
afterEach(() => rm(top, { recursive: true }));

const picture = (width: number, height: number, seed: number): Promise<Uint8Array> =>
  encodePng({
    width,
    height,
    channels: 3,
    data: Uint8Array.from({ length: width * height * 3 }, (_, i) => Math.imul(i + seed, 0x9e3779b1) >>> 24),
  });

async function put(path: string, content: Uint8Array | string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), content);
}

/** Two domains, two classes, two images each, none square. */
async function putSmallSet(): Promise<void> {
  let seed = 1;
  for (const domain of ["sketch", "art"]) {
    for (const name of ["dog", "cat"]) {
      for (const file of ["2.png", "10.png"])
        await put(`${domain}/${name}/${file}`, await picture(12, 9, seed++));
    }
  }
}

interface Opened extends Dataset {
  readonly notes: readonly string[];
  /** How many images were decoded. */
  readonly decoded: number;
}

async function opened(options: Partial<OpenOptions> = {}): Promise<Opened> {
  const notes: string[] = [];
  let decoded = 0;
  const onNote = (note: string): number => notes.push(note);
  const progress = { report: (): unknown => ++decoded };
  const dataset = await openDataset(folder, { imageSize: 8, cacheFolder, onNote, ...options }, progress);
  return { ...dataset, notes, decoded };
}

const labelsOf = (domain: Domain | undefined): number[] => Array.from(domain?.labels ?? []);
const bytesOf = (dataset: Dataset): number[][] => dataset.domains.map((domain) => [...domain.pixels]);

describe("a folder", () => {
  test("gives domains, classes and files, sorted", async () => {
    await putSmallSet();
    const { classes, domains, imageSize, decoded } = await opened();
    expect([classes, imageSize, decoded]).toEqual([["cat", "dog"], 8, 8]);
    expect(domains.map(({ name, count }) => [name, count])).toEqual([
      ["art", 4],
      ["sketch", 4],
    ]);
    expect(domains[0]?.files).toEqual(["art/cat/10.png", "art/cat/2.png", "art/dog/10.png", "art/dog/2.png"]);
    expect(labelsOf(domains[0])).toEqual([0, 0, 1, 1]);
    expect(domains[0]?.pixels.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  test.each(["stretch", "center-crop"] as const)("gives the pixels of deployment, by %s", async (resize) => {
    await putSmallSet();
    const { domains } = await opened({ resize, threads: 3 });
    const input = {
      preprocessing: { range: [0, 255], mean: [0], std: [1], resize },
      height: 8,
      width: 8,
      channels: 3,
      layout: "nhwc",
    } as const;
    for (const domain of domains) {
      for (const [i, file] of domain.files.entries()) {
        const { data } = imageToTensor(await decodeImage(join(folder, file)), input);
        expect([...domain.image(i)]).toEqual([...data]);
      }
    }
  });

  test("leaves out hidden files and folders, and files that are no images", async () => {
    await putSmallSet();
    await put(".git/x/1.png", "hidden");
    await put("art/.cache/1.png", "hidden");
    await put("art/cat/.1.png", "hidden");
    await put("art/cat/list.npy", "no image");
    await put("README.txt", "no image");
    await put("art/notes.md", "no image");
    expect((await opened()).domains.map((domain) => domain.count)).toEqual([4, 4]);
  });

  test("that is not there is not found", async () => {
    await expect(opened()).rejects.toThrow(expect.objectContaining({ code: "not-found", where: folder }));
  });

  test.each<[string, string[], RegExp]>([
    [
      "an image directly in a domain",
      ["art/1.png"],
      /got 1 images at class\/image \(art\/1\.png\) and 8 at domain\/class\/image \(art\/cat\/10\.png\), expected one of the two for all; move/,
    ],
    [
      "an image directly in the folder",
      ["1.png"],
      /got 1 of 9 images elsewhere than at domain\/class\/image: 1\.png, expected all there; move or remove/,
    ],
    ["an image too deep", ["art/cat/more/1.png"], /: art\/cat\/more\/1\.png, .*; move or remove/],
    [
      "a class that one domain lacks",
      ["art/owl/1.png"],
      /got no image of class owl in domain sketch, expected every class in each of the 2 domains; add images/,
    ],
    [
      "a class folder without images",
      ["art/owl/1.txt"],
      /class owl in domain art, class owl in domain sketch/,
    ],
    ["a domain without classes", ["photo/1.txt"], /class cat in domain photo, class dog in domain photo/],
  ])("with %s is refused", async (_, paths, message) => {
    await putSmallSet();
    for (const path of paths) await put(path, "x");
    await expect(opened()).rejects.toThrow(message);
    await expect(opened()).rejects.toThrow(expect.objectContaining({ code: "invalid-data" }));
  });

  test("names a few of many missing classes, and counts the rest", async () => {
    await putSmallSet();
    for (let i = 0; i < 8; i++) await put(`art/extra${i}/1.png`, "x");
    await expect(opened()).rejects.toThrow(/extra4 in domain sketch and 3 more, /);
  });

  test("whose classes lie a folder too deep is told what is taken for what", async () => {
    for (const path of ["cat/monday/1.png", "cat/tuesday/1.png", "dog/friday/1.png"])
      await put(path, await picture(8, 8, 1));
    await expect(opened()).rejects.toThrow(
      /got no image of class friday in domain cat, .*if cat, dog are the classes, their images must lie directly in them/,
    );
  });

  test("of several sets is told from one of domains", async () => {
    await putSmallSet();
    await expect(openDataset(top, { imageSize: 8, cacheFolder })).rejects.toThrow(
      /got images at data\/art\/cat\/10\.png, .* and 3 more, expected class\/image, or domain\/class\/image; give the folder in it/,
    );
  });

  test("with a single class is refused", async () => {
    await put("art/cat/1.png", await picture(8, 8, 1));
    await expect(opened()).rejects.toThrow(
      /got 1 classes \(cat\), expected 2 to 65536; the folders that hold/,
    );
  });

  test("with a link out of it is refused", async () => {
    await putSmallSet();
    await writeFile(join(top, "outside.png"), await picture(8, 8, 1));
    await symlink(join(top, "outside.png"), join(folder, "art/cat/3.png"));
    await expect(opened()).rejects.toThrow(expect.objectContaining({ code: "invalid-path" }));
  });

  test.each([
    [{ imageSize: 3 }, /^image size: got 3/],
    [{ imageSize: 2049 }, /^image size: got 2049/],
    [{ imageSize: 8.5 }, /^image size: got 8.5/],
    [{ threads: 0 }, /^threads: got 0/],
  ])("is not opened with %j", async (options, message) => {
    await expect(opened(options)).rejects.toThrow(message);
  });
});

/** Two classes of two images each. */
async function putClasses(): Promise<void> {
  let seed = 1;
  for (const path of ["plate/2.png", "plate/1.png", "cup/b.png", "cup/a.png"])
    await put(path, await picture(12, 9, seed++));
}

describe("a folder of classes", () => {
  test("is one domain that bears its name, also from within it", async () => {
    await putClasses();
    const { classes, domains } = await opened();
    expect(classes).toEqual(["cup", "plate"]);
    expect(domains.map(({ name, files: f }) => [name, f])).toEqual([
      ["data", ["cup/a.png", "cup/b.png", "plate/1.png", "plate/2.png"]],
    ]);
    expect(labelsOf(domains[0])).toEqual([0, 0, 1, 1]);
    expect(await domainNames(join(folder, "cup", ".."))).toEqual(["data"]);
    expect(bytesOf(await opened())).toEqual(bytesOf(await opened({ cacheFolder: null })));
  });

  test("holds the pixels that the same images have as a domain", async () => {
    await putSmallSet();
    const [art] = (await opened()).domains;
    const alone = await openDataset(join(folder, "art"), { imageSize: 8, cacheFolder });
    expect(alone.domains.map(({ name }) => name)).toEqual(["art"]);
    expect([...(alone.domains[0]?.pixels ?? [])]).toEqual([...(art?.pixels ?? [])]);
    expect(await domainNames(folder)).toEqual(["art", "sketch"]);
  });

  test.each<[string, string[], RegExp]>([
    ["a folder without images", ["bowl/1.txt"], /got no image of class bowl, expected one image or more in/],
    ["an image beside the classes", ["1.png"], /got 1 of 5 images elsewhere than at class\/image: 1\.png, /],
    [
      "folders in a class",
      ["cup/blue/1.png"],
      /got 4 images at class\/image \(cup\/a\.png\) and 1 at domain\/class\/image \(cup\/blue\/1\.png\), expected one/,
    ],
  ])("with %s is refused", async (_, paths, message) => {
    await putClasses();
    for (const path of paths) await put(path, "x");
    await expect(opened()).rejects.toThrow(message);
    await expect(opened()).rejects.toThrow(expect.objectContaining({ code: "invalid-data" }));
  });

  test("without an image, or without a class, is refused with what is expected", async () => {
    await mkdir(join(folder, "cup"), { recursive: true });
    await expect(opened()).rejects.toThrow(/no image in it or below, expected files ending in/);
    await put("1.png", await picture(8, 8, 1));
    await expect(opened()).rejects.toThrow(/got images at 1\.png, .*make a folder for each class/);
  });

  test("of which every image is broken names class and reason", async () => {
    await putClasses();
    await put("cup/a.png", "broken");
    await put("cup/b.png", "broken");
    await expect(opened({ skipBroken: true })).rejects.toThrow(
      /^class cup in domain data: every image is broken, as cup\/a\.png: cannot be decoded/,
    );
  });
});

describe("broken images", () => {
  beforeEach(async () => {
    await putSmallSet();
    await put("art/cat/10.png", "broken");
    await put("sketch/dog/2.png", await picture(1, 1, 1));
  });

  test("of all domains are named, with those too small", async () => {
    await expect(opened()).rejects.toThrow(
      /^2 of 8 images: cannot be used: art\/cat\/10\.png: cannot be decoded.*; sketch\/dog\/2\.png: is too small: got 1 x 1 pixels, expected 2 x 2 or more for a network that sees 8 x 8; mend or remove them, or --skip-broken \[invalid-data\]$/,
    );
  });

  test("are named in part and counted when there are many", async () => {
    for (let i = 0; i < 9; i++) await put(`art/dog/${i}.png`, "broken");
    await expect(opened()).rejects.toThrow(/^11 of 16 images: .*; and 6 more; /);
  });

  test("are left out when asked to, and told of, also from the cache", async () => {
    const whole = await opened({ skipBroken: true });
    expect(whole.domains.map((domain) => domain.files)).toEqual([
      ["art/cat/2.png", "art/dog/10.png", "art/dog/2.png"],
      ["sketch/cat/10.png", "sketch/cat/2.png", "sketch/dog/10.png"],
    ]);
    expect(labelsOf(whole.domains[0])).toEqual([0, 1, 1]);
    expect(whole.notes).toEqual([
      expect.stringMatching(/^left out: art\/cat\/10\.png: /),
      expect.stringMatching(/^left out: sketch\/dog\/2\.png: is too small/),
    ]);
    const again = await opened({ skipBroken: true });
    expect([again.decoded, again.notes]).toEqual([0, whole.notes]);
    expect(bytesOf(again)).toEqual(bytesOf(whole));
    // A cache made with images left out is no cache for a run that may not leave any out.
    await expect(opened()).rejects.toThrow(/2 of 8 images/);
    // The images kept are where their names say.
    await rm(join(folder, "art/cat/10.png"));
    await rm(join(folder, "sketch/dog/2.png"));
    expect(bytesOf(await opened({ cacheFolder: null }))).toEqual(bytesOf(whole));
  });

  test("that are all of a class are an error even so", async () => {
    await put("art/cat/2.png", "broken");
    await expect(opened({ skipBroken: true })).rejects.toThrow(
      /^class cat in domain art: every image is broken, as art\/cat\/10\.png: /,
    );
  });

  test.each([
    [8, 2],
    [32, 4],
    [224, 28],
    [225, 29],
  ])("are too small for a network of %i below %i pixels", (imageSize, least) => {
    expect(leastSide(imageSize)).toBe(least);
  });
});

const files = async (): Promise<string[]> =>
  (await readdir(cacheFolder)).sort().map((name) => join(cacheFolder, name));

describe("the cache", () => {
  beforeEach(putSmallSet);

  test("gives the same set without decoding", async () => {
    const first = await opened();
    expect((await files()).length).toBe(2);
    const second = await opened();
    expect([first.decoded, second.decoded]).toEqual([8, 0]);
    expect(bytesOf(second)).toEqual(bytesOf(first));
    expect(second.domains.map(({ files: f, labels }) => [f, labels])).toEqual(
      first.domains.map(({ files: f, labels }) => [f, labels]),
    );
    expect(second.domains[1]?.pixels.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  test("is made anew for a domain whose files changed, in the same place, and kept for the other", async () => {
    await opened();
    const before = await files();
    await put("art/cat/2.png", await picture(12, 9, 99));
    const changed = await opened();
    expect(changed.decoded).toBe(4);
    expect(changed.notes).toEqual([]);
    expect(bytesOf(changed)).toEqual(bytesOf(await opened({ cacheFolder: null })));
    // Another time of change alone is reason enough: who knows what is in it.
    await utimes(join(folder, "sketch/dog/2.png"), 1, 1);
    expect((await opened()).decoded).toBe(4);
    await put("art/cat/3.png", await picture(12, 9, 7));
    expect((await opened()).decoded).toBe(5);
    expect(await files()).toEqual(before);
  });

  test("is another for another size, way of resizing, or folder", async () => {
    await opened();
    expect((await opened({ imageSize: 9 })).decoded).toBe(8);
    expect((await opened({ resize: "center-crop" })).decoded).toBe(8);
    await cp(folder, join(top, "copy"), { recursive: true, preserveTimestamps: true });
    await openDataset(join(top, "copy"), { imageSize: 8, cacheFolder });
    expect((await files()).length).toBe(8);
    expect((await opened()).decoded).toBe(0);
  });

  test("is not trusted when labels could mean other classes", async () => {
    await opened();
    // The files of a domain stay; the list of classes, which labels point into, would not be the same.
    for (const domain of ["art", "sketch"]) await put(`${domain}/ant/1.png`, await picture(12, 9, 3));
    const { domains, decoded } = await opened();
    expect(decoded).toBe(10);
    expect(labelsOf(domains[0])).toEqual([0, 1, 1, 2, 2]);
  });

  test.each<[string, (bytes: Buffer) => Buffer, RegExp | null]>([
    ["is empty", () => Buffer.alloc(0), /does not begin as one/],
    ["is something else", () => Buffer.from("hello, I am no cache of images"), /does not begin as one/],
    ["is cut within its header", (bytes) => bytes.subarray(0, 40), /header of \d+ bytes in a file of 40/],
    ["is cut within its pixels", (bytes) => bytes.subarray(0, -1), /got \d+ bytes, expected \d+/],
    [
      "has bytes too many",
      (bytes) => Buffer.concat([bytes, Buffer.from("x")]),
      /got \d+ bytes, expected \d+/,
    ],
    ["has one bit of a pixel changed", (bytes) => flipped(bytes, bytes.length - 5), /checksum/],
    ["has a header that is no JSON", (bytes) => flipped(bytes, 16), /damaged \(/],
    ["has a header without end", (bytes) => withWord(bytes, 12, 0xffffffff), /header of 4294967295 bytes/],
    ["has other fields", (bytes) => renamed(bytes, '"labels"', '"lapels"'), /other fields/],
    ["has a label that is none", (bytes) => renamed(bytes, '"labels":[0', '"labels":{0'), /damaged \(/],
    ["is of another version, which is no damage", (bytes) => withWord(bytes, 8, 99), null],
  ])("that %s is made again", async (_, damage, note) => {
    const whole = await opened();
    const [path] = (await files()) as [string];
    await writeFile(path, damage(await readFile(path)));
    const again = await opened();
    expect(again.decoded).toBe(4);
    expect(bytesOf(again)).toEqual(bytesOf(whole));
    expect(again.notes.length).toBe(note === null ? 0 : 1);
    expect(again.notes.join()).toMatch(note ?? /^$/);
    expect((await opened()).decoded).toBe(0);
  });

  test("that cannot be written is told of, and the images are there", async () => {
    await writeFile(join(top, "file"), "");
    const { domains, notes } = await opened({ cacheFolder: join(top, "file") });
    expect(domains.length).toBe(2);
    expect(notes.at(-1)).toMatch(/the cache was not written: .*name another folder/);
  });

  test("is not written when there shall be none", async () => {
    await opened({ cacheFolder: null });
    await expect(stat(cacheFolder)).rejects.toThrow(/ENOENT/);
  });

  test("lies where XDG_CACHE_HOME says, else in the home folder", () => {
    expect(defaultCacheFolder({ XDG_CACHE_HOME: "/cache" })).toBe(join("/cache", "qdg"));
    expect(defaultCacheFolder({})).toMatch(/\.cache[\\/]qdg$/);
    expect(defaultCacheFolder({ XDG_CACHE_HOME: "relative" })).toBe(defaultCacheFolder({}));
  });
});

function flipped(bytes: Buffer, at: number): Buffer {
  const result = Buffer.from(bytes);
  result[at] = (result[at] as number) ^ 1;
  return result;
}

function withWord(bytes: Buffer, at: number, value: number): Buffer {
  const result = Buffer.from(bytes);
  result.writeUInt32LE(value, at);
  return result;
}

function renamed(bytes: Buffer, from: string, to: string): Buffer {
  return Buffer.from(bytes.toString("latin1").replace(from, to), "latin1");
}

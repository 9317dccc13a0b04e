import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { folderOf, imageLists, imagePaths } from "../../bench/image-lists.js";

const PATHS = ["cartoon", "photo"].flatMap((domain) =>
  Array.from({ length: 20 }, (_, i) => `${domain}/dog/${i}.jpg`),
);
const COUNTS = { judged: 8, calibration: 4, draws: 3 };

test("no image is in two lists", () => {
  const { judged, calibration } = imageLists(PATHS, COUNTS);
  const all = [...judged, ...calibration.flat()];
  expect(judged).toHaveLength(8);
  expect(calibration.map((list) => list.length)).toEqual([4, 4, 4]);
  expect(new Set(all).size).toBe(all.length);
});

test("each list has as many images of every domain", () => {
  const { judged, calibration } = imageLists(PATHS, COUNTS);
  for (const list of [judged, ...calibration]) {
    expect(list.filter((path) => path.startsWith("photo/"))).toHaveLength(list.length / 2);
  }
});

test("lists follow from the paths, whatever order a file system gives them in", () => {
  expect(imageLists(PATHS.toReversed(), COUNTS)).toEqual(imageLists(PATHS, COUNTS));
});

test("the rule is fixed: these are the images of these paths", () => {
  // `printf '%s' photo/dog/7.jpg | sha256sum` and so on, sorted.
  expect(imageLists(PATHS, COUNTS).judged.slice(4)).toEqual([
    "photo/dog/8.jpg",
    "photo/dog/9.jpg",
    "photo/dog/2.jpg",
    "photo/dog/4.jpg",
  ]);
});

test("more draws leave the earlier lists as they were", () => {
  const { judged, calibration } = imageLists(PATHS, { ...COUNTS, draws: 1 });
  const more = imageLists(PATHS, COUNTS);
  expect(judged).toEqual(more.judged);
  expect(calibration[0]).toEqual(more.calibration[0]);
});

test("other lists have another hash", () => {
  const { hash } = imageLists(PATHS, COUNTS);
  expect(hash).toMatch(/^[0-9a-f]{8}$/);
  expect(imageLists(PATHS, { ...COUNTS, judged: 10 }).hash).not.toBe(hash);
});

test.each([
  ["images that the domains cannot share", { ...COUNTS, judged: 7 }, "got 7 images of 2 domains"],
  ["a domain of too few images", { ...COUNTS, judged: 40 }, "cartoon: got 20 images, expected 26 or more"],
])("%s are an error", (_, counts, message) => {
  expect(() => imageLists(PATHS, counts)).toThrow(message);
});

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-image-lists-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("a list becomes a folder of nothing but its images", async () => {
  const from = join(folder, "from");
  for (const path of ["photo/dog/0.jpg", "photo/dog/1.png", "photo/notes.txt"]) {
    await mkdir(dirname(join(from, path)), { recursive: true });
    await writeFile(join(from, path), path);
  }
  expect((await imagePaths(from)).sort()).toEqual(["photo/dog/0.jpg", "photo/dog/1.png"]);
  const made = await folderOf(from, ["photo/dog/1.png"], join(folder, "list"));
  expect(await readdir(join(made, "photo", "dog"))).toEqual(["1.png"]);
});

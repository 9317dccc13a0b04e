import { describe, expect, test } from "vitest";
import {
  checkSourceDomains,
  createDomain,
  type Dataset,
  findDomains,
} from "../../../src/train/data/dataset.js";

const domain = (name: string): Dataset["domains"][number] =>
  createDomain(
    name,
    4,
    Uint16Array.of(0, 1),
    ["0.png", "1.png"],
    Uint8Array.from({ length: 96 }, (_, i) => i),
  );
const dataset: Dataset = {
  classes: ["cat", "dog"],
  domains: ["art", "photo", "sketch"].map(domain),
  imageSize: 4,
};

test("an image is a view of the domain's pixels", () => {
  const photo = domain("photo");
  expect(photo.image(1)).toEqual(photo.pixels.subarray(48));
  expect(photo.image(1).buffer).toBe(photo.pixels.buffer);
  for (const index of [-1, 2, 0.5]) expect(() => photo.image(index)).toThrow(/there are 2/);
});

test("refuses labels or pixels that do not fit the files", () => {
  expect(() => createDomain("a", 4, Uint16Array.of(0), [], new Uint8Array(0))).toThrow(/0 files, 1 labels/);
  expect(() => createDomain("a", 4, Uint16Array.of(0), ["x"], new Uint8Array(47))).toThrow(/47 bytes of 48/);
});

describe("findDomains", () => {
  test("gives them in the order asked for", () => {
    expect(findDomains(dataset, ["sketch", "art"]).map((found) => found.name)).toEqual(["sketch", "art"]);
  });

  test("lists those that are, for one that is not", () => {
    expect(() => findDomains(dataset, ["art", "skecth"])).toThrow(
      /^domain skecth: is not in the data, which has art, photo, sketch; name one of them \[not-found\]$/,
    );
  });

  test("refuses a name given twice", () => {
    expect(() => findDomains(dataset, ["art", "art"])).toThrow(/^domain art: is given twice.*\[usage\]$/);
  });
});

test("a run needs one domain to train on", () => {
  expect(() => checkSourceDomains([domain("art")])).not.toThrow();
  expect(() => checkSourceDomains([])).toThrow(
    /^--test-domain: got every domain of the data, expected one or more to be left .* \[usage\]$/,
  );
});

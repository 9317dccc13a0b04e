// The public API for Node: what it exports can be used, and costs nothing before it is.

import { createRequire } from "node:module";
import { expect, test } from "vitest";

const HEAVY = [
  "@tensorflow/",
  "onnxruntime-node/",
  "onnxruntime-web/",
  "sharp/",
  "playwright-core/",
  "commander/",
];

/** Which of the heavy packages this process has loaded. */
function loaded(): string[] {
  const files = Object.keys(createRequire(import.meta.url).cache);
  return HEAVY.filter((name) => files.some((file) => file.includes(`/node_modules/${name}`)));
}

test("importing qdg loads no runtime, no image library and no browser before one is asked for", async () => {
  const { certify, classifyImages, decodeImage, exportModel, parity, verifyCertificate } =
    await import("../src/index.js");
  expect(
    [certify, classifyImages, exportModel, parity, verifyCertificate].map((each) => typeof each),
  ).toEqual(Array.from({ length: 5 }, () => "function"));
  expect(loaded()).toEqual([]);
  // That the check sees what is loaded.
  await expect(decodeImage("package.json")).rejects.toThrow(/cannot be decoded/);
  expect(loaded()).toEqual(["sharp/"]);
});

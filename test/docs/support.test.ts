// docs/support.md says what the reader does. After a change of layers: npm run docs.

import { expect, test } from "vitest";
import { LAYERS } from "../../src/read/layers.js";
import { LAYER_SAMPLES } from "./layer-samples.js";
import { supportPage } from "./support-page.js";

test("docs/support.md is what becomes of each layer", async () => {
  await expect(await supportPage()).toMatchFileSnapshot("../../docs/support.md");
});

test("every layer has a sample, and no sample is of a layer that is gone", () => {
  const layers = [...LAYERS.keys()].filter((name) => name !== "Activation");
  expect(Object.keys(LAYER_SAMPLES).sort()).toEqual(layers.sort());
});

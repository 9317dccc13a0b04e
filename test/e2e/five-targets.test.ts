// The promise itself: models of 3 and 4 bits on all five targets, two of them in a real browser. Skipped where there is
// no browser, which .ci/run does not let pass; where another target is missing these fail with its reason and remedy.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportModel } from "../../src/export/export-model.js";
import { rangePreprocessing } from "../../src/image/preprocessing.js";
import { type Certificate, CERTIFIED_TARGETS, hasPassed } from "../../src/parity/certificate.js";
import { certify } from "../../src/parity/certify.js";
import { verifyCertificate } from "../../src/parity/verify-certificate.js";
import { exportShapes, SHAPES_MODEL, writeDomains } from "../support/certified-models.js";
import { BROWSER } from "../support/needs.js";
import { newFolder, removeFolder, writeResnet } from "../support/small-models.js";

const INPUTS = 4;
const LIMIT_MS = 600_000;

let folder = "";
let images = "";
beforeAll(async () => {
  folder = await newFolder();
  images = await writeDomains(join(folder, "images"), INPUTS);
});
afterAll(() => removeFolder(folder));

/** What is not as it is to be: everything equal on every target, in a network that lives and has so many bits. */
function faultsOf(certificate: Certificate, bits: number): string[] {
  const { reasons, targets, reference } = certificate;
  const { tensors, classesPredicted } = reference;
  const elements = targets[0]?.elements ?? 0;
  const same = targets.every(
    (each) =>
      JSON.stringify([each.histogram, each.notFinite]) === JSON.stringify([[[0, elements]], 0]) &&
      each.tensors === tensors.length &&
      each.predictions?.compared === INPUTS &&
      each.predictions.differing === 0,
  );
  const checks: readonly (readonly [fault: string, isMet: boolean])[] = [
    ["does not pass", hasPassed(certificate)],
    ["other targets", targets.map(({ target }) => target).join() === CERTIFIED_TARGETS.join()],
    ["too few elements", elements > 1000],
    ["a target differs", same],
    [`no tensors of ${bits} bits`, tensors.filter((tensor) => tensor.bits === bits).length > 1],
    ["a dead tensor", tensors.every(({ levelsUsed }) => levelsUsed >= 3)],
    ["one class", Object.values(classesPredicted).every((classes) => classes >= 2)],
  ];
  return [...reasons, ...checks.flatMap(([fault, isMet]) => (isMet ? [] : [fault]))];
}

describe("the trained 3-bit model", { timeout: LIMIT_MS, ...BROWSER }, () => {
  let out = "";
  let path = "";
  let certificate: Certificate;
  beforeAll(async () => {
    out = await exportShapes(join(folder, "out"));
    path = join(folder, "certificate.json");
    certificate = await certify({
      model: SHAPES_MODEL,
      folder: out,
      data: [images],
      targets: CERTIFIED_TARGETS,
    });
    await writeFile(path, JSON.stringify(certificate));
  }, LIMIT_MS);

  test("computes the reference's integers on all five targets, every tensor alive", () => {
    expect(faultsOf(certificate, 3)).toEqual([]);
  });

  test.each(["model.onnx", "model.webgpu.onnx"])(
    "is not certified by it once a byte of %s is another",
    async (name) => {
      const file = join(out, name);
      const bytes = await readFile(file);
      const edited = Buffer.from(bytes);
      // The digit after qdg.version, which no runtime reads.
      const at = edited.indexOf("qdg.version") + "qdg.version".length + 2;
      expect(String.fromCharCode(edited[at] as number)).toMatch(/\d/);
      edited[at] = (edited[at] as number) ^ 1;
      await writeFile(file, edited);
      const verification = verifyCertificate(path, { runtimeOf: nothingRuns });
      await expect(verification).rejects.toThrow(
        new RegExp(`certificate\\.json: is a certificate for other files: .*/${name} has SHA-256`),
      );
      await writeFile(file, bytes);
    },
  );
});

function nothingRuns(): never {
  throw new Error("a target was run for a certificate of other files");
}

test(
  "a 4-bit model computes the reference's integers on all five targets, and so says a rerun of its certificate",
  { timeout: LIMIT_MS, ...BROWSER },
  async () => {
    const model = await writeResnet(join(folder, "resnet"));
    const four = join(folder, "four");
    const preprocessing = rangePreprocessing(-1, 1);
    const targets = ["cpu", "wasm", "webgpu"] as const;
    const bits = { bits: 4, activationBits: 4 };
    const quantization = { ...bits, calibration: [images], heldOutCount: 0, preprocessing };
    await exportModel({ model, output: join(four, "model.onnx"), targets, ...quantization });
    const certificate = await certify({ model, folder: four, data: [images], targets: CERTIFIED_TARGETS });
    expect(faultsOf(certificate, 4)).toEqual([]);

    const path = join(four, "certificate.json");
    await writeFile(path, JSON.stringify(certificate));
    const { differences, notes, rerun } = await verifyCertificate(path);
    expect([differences, notes, hasPassed(rerun)]).toEqual([[], [], true]);
  },
);

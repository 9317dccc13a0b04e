// Certificates of the shapes model: what holds, what a target made wrong leaves in them, and what is refused.

import { createHash } from "node:crypto";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import type { ModelProto } from "../../src/onnx/model-proto.js";
import { type Certificate, hasPassed } from "../../src/parity/certificate.js";
import { certificatePage } from "../../src/parity/certificate-page.js";
import { certify, type CertifyOptions } from "../../src/parity/certify.js";
import { parseCertificate } from "../../src/parity/read-certificate.js";
import { verifyCertificate } from "../../src/parity/verify-certificate.js";
import { changedCpu, exportShapes, SHAPES_MODEL, writeDomains } from "../support/certified-models.js";
import { newFolder, removeFolder } from "../support/small-models.js";

const INPUTS = 8;
let folder = "";
let out = "";
let images = "";
let certificate: Certificate;

beforeAll(async () => {
  folder = await newFolder();
  out = await exportShapes(join(folder, "out"));
  images = await writeDomains(join(folder, "images"), INPUTS);
  certificate = await certify(optionsFor());
}, 120_000);
afterAll(() => removeFolder(folder));

function optionsFor(changes: Partial<CertifyOptions> = {}): CertifyOptions {
  return { model: SHAPES_MODEL, folder: out, data: [images], targets: ["cpu", "wasm"], ...changes };
}

/** The exported files in a folder of their own, model.onnx as `edit` leaves it. */
async function edited(name: string, edit: (model: ModelProto) => ModelProto): Promise<string> {
  const to = join(folder, name);
  await cp(out, to, { recursive: true });
  const path = join(to, "model.onnx");
  await writeFile(path, encodeModel(edit(decodeModel(await readFile(path)))));
  return to;
}

const withMetadata =
  (key: string, value: string | null) =>
  (model: ModelProto): ModelProto => ({
    ...model,
    metadataProps: (model.metadataProps ?? []).flatMap((entry) =>
      entry.key !== key ? [entry] : value === null ? [] : [{ key, value }],
    ),
  });

async function written(name: string, content: Certificate): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, JSON.stringify(content));
  return path;
}

describe("a certificate of cpu and wasm", () => {
  test("says that every integer is the reference's and that the network is alive", () => {
    expect(hasPassed(certificate)).toBe(true);
    expect(certificate.reasons).toEqual([]);
    expect(certificate.reference.tensors.map(({ name }) => name)).toContain("relu4b");
    expect(certificate.reference.tensors.every(({ levelsUsed }) => levelsUsed >= 3)).toBe(true);
    expect(certificate.reference.classesPredicted["classes"]).toBeGreaterThan(1);
    for (const result of certificate.targets) {
      expect(result.tensors).toBe(certificate.reference.tensors.length);
      // Of one input: 2 * 3*32*32 + 16*16*16 + 24*16*16 + 6 * 32*8*8 + ... elements.
      expect(result.elements).toBe(INPUTS * 31872);
      expect(result.histogram).toEqual([[0, result.elements]]);
      expect(result.predictions).toEqual({ compared: INPUTS, differing: 0 });
      expect(result.outputs[0]?.relativeDifference).toBeLessThan(1e-6);
    }
  });

  test("holds the SHA-256 of each file, of the model with its weights, and of the data", async () => {
    for (const { name, sha256, sizeBytes } of certificate.files) {
      const bytes = await readFile(join(out, name));
      expect([sha256, sizeBytes]).toEqual([createHash("sha256").update(bytes).digest("hex"), bytes.length]);
    }
    const hash = createHash("sha256").update(await readFile(SHAPES_MODEL));
    expect(certificate.model.sha256).toBe(
      hash.update(await readFile("models/shapes/weights.bin")).digest("hex"),
    );
    expect(certificate.files.map(({ name, targets }) => [name, targets])).toEqual([
      ["model.onnx", ["cpu", "wasm"]],
      ["model.webgpu.onnx", []],
    ]);
    expect(certificate.uncertified).toEqual(["model.webgpu.onnx"]);
  });

  test("gives accuracy by domain where folders say domain and class", () => {
    const groups = certificate.reference.accuracy.map(({ group, inputs }) => [group, inputs]);
    expect(groups).toEqual([
      ["", INPUTS],
      ["other", INPUTS / 2],
      ["plain", INPUTS / 2],
    ]);
    expect(certificate.targets.map(({ accuracy }) => accuracy)).toEqual([
      certificate.reference.accuracy,
      certificate.reference.accuracy,
    ]);
  });

  test("comes back from JSON as it was", () => {
    expect(parseCertificate(JSON.stringify(certificate), "cert")).toEqual(certificate);
  });

  test("is a page that loads nothing and escapes every name", () => {
    const page = certificatePage({ ...certificate, folder: '"><script>alert(1)</script>', reasons: ["<b>"] });
    expect(page).toContain(certificate.model.sha256);
    expect(page).toContain("PASSED");
    expect(page).not.toMatch(/<script|<b>|src=|https?:/);
    expect(page).toContain("default-src 'none'");
    expect(page).toContain("prefers-color-scheme:dark");
    expect(page).toContain("<strong>Not certified:</strong> model.webgpu.onnx.");
    expect(page).toContain("NOT CERTIFIED, no target ran it");
    expect(certificatePage({ ...certificate, uncertified: [] })).not.toContain("Not certified:");
  });
});

test("the file for GPUs holds the integers of the one for hosts, zero points taken out", async () => {
  const found = await certify(optionsFor({ targets: ["webgpu"], runtimeOf: changedCpu("webgpu") }));
  expect(hasPassed(found)).toBe(true);
  expect(found.targets[0]).toMatchObject({ file: "model.webgpu.onnx", runtime: "cpu as <webgpu>" });
  expect(found.reference.file).toBe("model.onnx");
  // bn3b and bn3s are stored from 4 in the one and from 0 in the other.
  expect(found.targets[0]?.histogram).toEqual([[0, found.targets[0]?.elements]]);
  expect(found.targets[0]?.tensors).toBe(certificate.reference.tensors.length);
  expect(found.exactness.map(({ file }) => file)).toEqual(["model.webgpu.onnx"]);
});

describe("a target that computes something else", () => {
  test("is outside its promise, with the histogram and the first layer that differs", async () => {
    const runtimes = changedCpu("wasm", (results) => {
      const [relu2, relu5] = [results["relu2"], results["relu5"]];
      if (relu2) relu2.data[5] = Number(relu2.data[5]) + 2;
      if (relu5) relu5.data[0] = Number(relu5.data[0]) + 100;
      if (relu5) relu5.data[1] = Number(relu5.data[1]) + 2;
    });
    const found = await certify(optionsFor({ runtimeOf: runtimes }));
    expect(hasPassed(found)).toBe(false);
    const [cpu, wasm] = found.targets;
    expect(cpu?.histogram).toEqual([[0, cpu?.elements]]);
    expect(wasm?.histogram).toEqual([
      [0, (wasm?.elements ?? 0) - 3 * INPUTS],
      [2, 2 * INPUTS],
      [100, INPUTS],
    ]);
    expect(wasm?.differing).toEqual([
      { name: "relu2", layer: "relu2", count: INPUTS },
      { name: "relu5", layer: "relu5", count: 2 * INPUTS },
    ]);
    expect(wasm?.firstDifference).toMatchObject({ layer: "relu2", index: [0, 0, 0, 5] });
    expect(found.reasons).toEqual([
      expect.stringMatching(
        /^wasm: 24 of \d+ quantized elements differ, by up to 100 step\(s\), in 2 of 13 tensors/,
      ),
    ]);
    expect(certificatePage(found)).toContain("NOT PASSED");
  });

  test("is outside it for numbers that are none, other outputs and other predictions", async () => {
    const runtimes = changedCpu("webgpu", (results) => {
      const output = results["classes"];
      output?.data.reverse();
      if (results["relu2"]) results["relu2"].data[0] = Number.NaN;
    });
    const found = await certify(optionsFor({ targets: ["webgpu"], runtimeOf: runtimes }));
    expect(found.targets[0]?.notFinite).toBe(INPUTS);
    expect(found.reasons).toEqual([
      expect.stringContaining(`${INPUTS} of them no finite number`) as string,
      expect.stringContaining("output classes differs by") as string,
      expect.stringMatching(/[1-8] of 8 predictions differ, expected 0/) as string,
    ]);
    expect(hasPassed(parseCertificate(JSON.stringify(found), "cert"))).toBe(false);
  });
});

describe("the engine in the reference's place", () => {
  test("after two inputs gives the same certificate, which says so and can be verified", async () => {
    const found = await certify(optionsFor({ engineAfter: 2 }));
    expect(found.reference.inputs).toEqual({ reference: 2, engine: INPUTS - 2 });
    const { reference, data } = certificate;
    expect({ ...found, data, reference: { ...found.reference, inputs: reference.inputs } }).toEqual(
      certificate,
    );
    expect(certificatePage(found)).toContain("for 2 input(s); for 6 more qdg&#39;s engine");
    const { differences } = await verifyCertificate(await written("after.json", found), {});
    expect(differences).toEqual([]);
  });

  test("does not stand there where it computes one integer otherwise, and that is said", async () => {
    const wrong = changedCpu("engine", (results) => {
      const relu3 = results["relu3"];
      if (relu3) relu3.data[7] = Number(relu3.data[7]) + 1;
    });
    const found = await certify(
      optionsFor({
        engineAfter: 2,
        targets: ["cpu"],
        runtimeOf: wrong,
      }),
    );
    expect(found.reference.inputs).toEqual({ reference: INPUTS, engine: 0 });
    expect(found.notes).toContain(
      "the engine does not stand in for the reference: it computes other integers of relu3",
    );
    expect(hasPassed(found)).toBe(true);
  });
});

describe("files that are refused", () => {
  test.each<[what: string, changes: () => Promise<Partial<CertifyOptions>>, says: RegExp]>([
    [
      "a file of another model",
      async () => ({ folder: await edited("other", withMetadata("qdg.source", "0".repeat(64))) }),
      /model\.onnx: was exported from another model .*\[invalid-data\]/,
    ],
    [
      "a file that does not say of which",
      async () => ({ folder: await edited("silent", withMetadata("qdg.source", null)) }),
      /model\.onnx: does not say which model it is of .*qdg-export/,
    ],
    [
      "no file for a target",
      async () => {
        const to = await edited("hosts", (model) => model);
        await rm(join(to, "model.webgpu.onnx"));
        return { folder: to, targets: ["cpu", "browser-webgpu"] };
      },
      /holds no quantized file for browser-webgpu; export with qdg-export --target cpu,wasm,webgpu/,
    ],
    [
      "two files for a target",
      async () => {
        const to = await edited("twice", (model) => model);
        await cp(join(to, "model.onnx"), join(to, "second.onnx"));
        return { folder: to };
      },
      /got model\.onnx, second\.onnx for cpu, expected one file/,
    ],
    ["an empty folder", async () => ({ folder: images }), /holds no \.onnx file; export the model/],
    ["no folder", async () => ({ folder: join(folder, "none") }), /none: cannot be read.*\[not-found\]/],
    ["no targets", async () => ({ targets: [] }), /--targets: got none/],
  ])("%s", async (_, changes, says) => {
    await expect(certify(optionsFor(await changes()))).rejects.toThrow(says);
  });

  test("a target that is not available is an error with its reason and remedy, and no other runs in its place", async () => {
    const runtimes = changedCpu("webgpu");
    const runtimeOf: CertifyOptions["runtimeOf"] = async (name) => ({
      ...(await runtimes(name)),
      probe: () => Promise.resolve({ available: false, reason: "no adapter", remedy: "install a driver" }),
    });
    await expect(certify(optionsFor({ targets: ["webgpu"], runtimeOf }))).rejects.toThrow(
      "target webgpu: no adapter; install a driver [unavailable]",
    );
  });
});

/** The certificate's JSON as `edit` leaves it. */
function change(edit: (json: Record<string, unknown>) => void): string {
  const json = structuredClone(certificate) as unknown as Record<string, unknown>;
  edit(json);
  return JSON.stringify(json);
}

function noRuntime(): never {
  throw new Error("ran");
}

describe("verifying", () => {
  test("finds what the certificate states, also where the files lie elsewhere", async () => {
    const path = await written("good.json", certificate);
    const to = await edited("moved", (model) => model);
    await cp(join(out, "model.onnx"), join(to, "model.onnx"));
    const { differences, notes, rerun } = await verifyCertificate(path, { folder: to });
    expect([differences, notes, hasPassed(rerun)]).toEqual([[], [], true]);
  });

  test("names counts that were edited, and versions that are others", async () => {
    const [cpu, wasm] = certificate.targets;
    const path = await written("edited.json", {
      ...certificate,
      versions: { ...certificate.versions, node: "1.2.3" },
      targets: [{ ...cpu, elements: 7, histogram: [[0, 7]] }, wasm] as Certificate["targets"],
      reference: {
        ...certificate.reference,
        accuracy: certificate.reference.accuracy.map((each) => ({ ...each, accuracy: 0.5 })),
      },
    });
    const { differences, notes } = await verifyCertificate(path);
    expect(differences).toContain(
      `targets.cpu.elements: the certificate states 7, the rerun found ${INPUTS * 31872}`,
    );
    expect(
      differences.some((each) =>
        each.startsWith("reference.accuracy.0.accuracy: the certificate states 0.5"),
      ),
    ).toBe(true);
    expect(notes).toEqual([`node: 1.2.3 then, ${process.versions.node} now`]);
  });

  test.each<[what: string, changes: () => Promise<Parameters<typeof verifyCertificate>[1]>, says: RegExp]>([
    [
      "a byte of a file",
      async () => {
        const to = await edited("byte", withMetadata("qdg.scales", "other"));
        return { folder: to };
      },
      /is a certificate for other files: .*byte\/model\.onnx has SHA-256/,
    ],
    [
      "a file that is damaged",
      async () => {
        const to = join(folder, "damaged");
        await cp(out, to, { recursive: true });
        await writeFile(join(to, "model.onnx"), "no ONNX file");
        return { folder: to };
      },
      /is a certificate for other files: .*damaged\/model\.onnx has SHA-256/,
    ],
    [
      "the model",
      async () => {
        await cp("models/shapes", join(folder, "model"), { recursive: true });
        const path = join(folder, "model", "model.json");
        await writeFile(path, `${await readFile(path, "utf8")} `);
        return { model: path };
      },
      /for another model: .*model\.json has SHA-256/,
    ],
    [
      "the data",
      async () => {
        await cp(images, join(folder, "fewer"), { recursive: true });
        await rm(join(folder, "fewer", "plain"), { recursive: true });
        return { data: [join(folder, "fewer")] };
      },
      /for other data: 4 of 4 images in .*fewer has SHA-256/,
    ],
    [
      "which files there are",
      async () => {
        const to = join(folder, "more");
        await cp(out, to, { recursive: true });
        await cp(join(out, "model.onnx"), join(to, "more.onnx"));
        return { folder: to };
      },
      /for other files: more\.onnx in .* is not among them/,
    ],
    [
      "a file that is gone",
      async () => {
        const to = join(folder, "gone");
        await cp(out, to, { recursive: true });
        await rm(join(to, "model.webgpu.onnx"));
        return { folder: to };
      },
      /is a certificate for model\.webgpu\.onnx, which is not in/,
    ],
  ])("refuses another: %s, before anything runs", async (_, changes, says) => {
    const path = await written("refused.json", certificate);
    await expect(verifyCertificate(path, { ...(await changes()), runtimeOf: noRuntime })).rejects.toThrow(
      says,
    );
  });
});

describe("a certificate that is none", () => {
  test.each<[what: string, text: () => string, says: RegExp]>([
    ["no JSON", () => "{", /cert: is not JSON/],
    ["a list", () => "[]", /cert: got \[\], expected an object/],
    [
      "another version",
      () => change((json) => (json["qdgCertificate"] = 1)),
      /qdgCertificate: got 1, expected 2/,
    ],
    ["a key too many", () => change((json) => (json["extra"] = 1)), /got the key "extra"/],
    ["a field that is missing", () => change((json) => delete json["data"]), /cert\.data: got nothing/],
    [
      "a hash that is none",
      () => change((json) => (json["model"] = { path: "m", sha256: "00" })),
      /cert\.model\.sha256: got "00"/,
    ],
    [
      "a path for a file's name",
      () =>
        change(
          (json) =>
            ((json["files"] as { name: string }[])[0] = { ...certificate.files[0], name: "../x" } as {
              name: string;
            }),
        ),
      /cert\.files\[0\]\.name: got "\.\.\/x", expected the name of a file \[invalid-path\]/,
    ],
    [
      "a negative count",
      () =>
        change(
          (json) =>
            ((json["targets"] as Record<string, unknown>[])[0] = { ...certificate.targets[0], elements: -1 }),
        ),
      /cert\.targets\[0\]\.elements: got -1/,
    ],
    [
      "a number that is not finite",
      () =>
        change((json) => (json["exactness"] = "INFINITE")).replace(
          '"INFINITE"',
          JSON.stringify(certificate.exactness).replace(/"limit":\d+/, '"limit":1e999'),
        ),
      /cert\.exactness\[0\]\.layers\[\d+\]\.limit: got Infinity, expected a finite number/,
    ],
    [
      "a target twice",
      () => change((json) => (json["targets"] = [certificate.targets[0], certificate.targets[0]])),
      /cert\.targets: got cpu, cpu, expected at least one target, each once/,
    ],
    [
      "a size of no image",
      () => change((json) => (json["data"] = { ...certificate.data, inputSize: [0, 32] })),
      /cert\.data\.inputSize: expected \[height, width\], both > 0/,
    ],
    [
      "no preprocessing",
      () => change((json) => (json["data"] = { ...certificate.data, preprocessing: { range: [1] } })),
      /cert\.data\.preprocessing: range: got \[1\], expected two numbers/,
    ],
    [
      "an unknown target",
      () =>
        change(
          (json) =>
            ((json["targets"] as Record<string, unknown>[])[0] = {
              ...certificate.targets[0],
              target: "tpu",
            }),
        ),
      /cert\.targets\[0\]\.target: got "tpu", expected cpu or wasm or/,
    ],
  ])("%s", (_, text, says) => {
    expect(() => parseCertificate(text(), "cert")).toThrow(says);
  });
});

/** One of a certificate of cpu and wasm, as `edit` leaves it. */
function contradicting(edit: (certificate: Certificate) => object): string {
  return JSON.stringify({ ...certificate, ...edit(certificate) });
}

/** The result of cpu with other fields, that of wasm as it is. */
function onCpu(fields: Partial<Certificate["targets"][number]>): { targets: unknown[] } {
  const [cpu, wasm] = certificate.targets;
  return { targets: [{ ...cpu, ...fields }, wasm] };
}

describe("a certificate that contradicts itself", () => {
  const differing = [{ name: "conv1", layer: "conv1", count: 3 }];
  const firstDifference = { tensor: "conv1", layer: "conv1", input: "x", index: [0], expected: 1, got: 2 };
  const elements = INPUTS * 31872;
  test.each<[what: string, edit: (certificate: Certificate) => object, says: RegExp]>([
    ["a verdict of its own", () => ({ passed: true }), /got the key "passed"/],
    ["no files", () => ({ files: [] }), /cert\.files: got none, expected at least one file, each once/],
    [
      "a file twice",
      ({ files }) => ({ files: [files[0], files[0]] }),
      /cert\.files: got model\.onnx, model\.onnx, expected/,
    ],
    ["no targets", () => ({ targets: [] }), /cert\.targets: got none, expected at least one target/],
    [
      "a target on a file that is not there",
      () => onCpu({ file: "other.onnx" }),
      /cert\.targets\[0\]\.file: got "other\.onnx", expected one of the files/,
    ],
    [
      "a target that a file does not know of",
      () => onCpu({ file: "model.webgpu.onnx" }),
      /cert\.files\[0\]\.targets: got cpu, wasm, expected wasm as in the targets/,
    ],
    [
      "a reference on a file that is not there",
      ({ reference }) => ({ reference: { ...reference, file: "other.onnx" } }),
      /cert\.reference\.file: got "other\.onnx"/,
    ],
    [
      "proofs of a file that is not there",
      ({ exactness }) => ({ exactness: [{ ...exactness[0], file: "other.onnx" }] }),
      /cert\.exactness\[0\]\.file: got "other\.onnx"/,
    ],
    [
      "silence on a file that no target ran",
      () => ({ uncertified: [] }),
      /cert\.uncertified: got none, expected model\.webgpu\.onnx, the files that no target ran/,
    ],
    [
      "differences and no reason",
      () =>
        onCpu({
          histogram: [
            [0, elements - 3],
            [1, 3],
          ],
          differing,
          firstDifference,
        }),
      /cert\.reasons: got none, but cpu: 3 of 254976 quantized elements differ/,
    ],
    [
      "numbers that are not finite and no reason",
      () => onCpu({ histogram: [[0, elements - 3]], notFinite: 3 }),
      /cert\.reasons: got none, but cpu: 3 of 254976 quantized elements differ, 3 of them no finite number/,
    ],
    [
      "outputs that are far off and no reason",
      () => onCpu({ outputs: [{ name: "classes", relativeDifference: 0.5 }] }),
      /cert\.reasons: got none, but cpu: output classes differs by 0\.5 relative/,
    ],
    [
      "predictions that differ and no reason",
      () => onCpu({ predictions: { compared: INPUTS, differing: 1 } }),
      /cert\.reasons: got none, but cpu: 1 of 8 predictions differ/,
    ],
    [
      "a promise that is none",
      () => onCpu({ promise: { steps: 255, relative: 1, predictions: INPUTS } }),
      /cert\.targets\[0\]\.promise: got \{"steps":255.*expected \{"steps":0.*what cpu promises/,
    ],
    [
      "elements that nobody counted",
      () => onCpu({ histogram: [] }),
      /cert\.targets\[0\]\.elements: got 254976, but the histogram counts 0/,
    ],
    [
      "a step twice",
      () =>
        onCpu({
          histogram: [
            [0, elements - 1],
            [0, 1],
          ],
        }),
      /cert\.targets\[0\]\.histogram: expected each number of steps once, ascending/,
    ],
    [
      "half a step",
      () => onCpu({ histogram: [[0.5, elements]] }),
      /histogram: expected each number of steps/,
    ],
    [
      "tensors that differ in no element",
      () => onCpu({ differing, firstDifference }),
      /cert\.targets\[0\]\.differing: got 3 elements, but the histogram has 0 that differ/,
    ],
    [
      "a first difference and none",
      () => onCpu({ firstDifference }),
      /cert\.targets\[0\]\.firstDifference: got one, but 0 tensors differ/,
    ],
    [
      "more predictions that differ than there are",
      () => onCpu({ predictions: { compared: 1, differing: 2 } }),
      /cert\.targets\[0\]\.predictions: got 2 that differ of 1/,
    ],
    ["no inputs", ({ data }) => ({ data: { ...data, inputs: 0 } }), /cert\.data\.inputs: got 0/],
    [
      "random data without end",
      ({ data }) => ({
        data: { ...data, sources: ["random:9007199254740991"], count: null, inputs: 9007199254740991 },
      }),
      /cert\.data\.sources: got random:9007199254740991, expected at most random:100000; take fewer samples \[invalid-data\]/,
    ],
    [
      "other inputs than random data has",
      ({ data }) => ({ data: { ...data, sources: ["random:5"] } }),
      /cert\.data\.inputs: got 8, expected 5 of random:5/,
    ],
  ])("is refused by reading: %s", (_, edit, says) => {
    expect(() => parseCertificate(contradicting(edit), "cert")).toThrow(says);
  });

  test("and says its reasons is read, and has not passed", () => {
    const text = contradicting(() => ({ reasons: ["dead network: output classes"] }));
    expect(hasPassed(parseCertificate(text, "cert"))).toBe(false);
  });
});

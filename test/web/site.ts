// A deployed model in memory, and a loopback server for it: the shapes network at three bits, for wasm and
// for webgpu, with a manifest whose expected values come from the CPU runtime.

import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ModelFile } from "../../src/deploy/deployed-models.js";
import { innerTensors, knownIntegers } from "../../src/deploy/known-integers.js";
import { engineFiles } from "../../src/deploy/runtime-files.js";
import { exportModel } from "../../src/export/export-model.js";
import { drawShape, SHAPE_IMAGE_SIZE, SHAPE_LABELS } from "../../src/image/draw-shapes.js";
import type { Image } from "../../src/image/image.js";
import { noisePicture } from "../../src/image/noise-picture.js";
import { type Preprocessing, rangePreprocessing } from "../../src/image/preprocessing.js";
import { imageToTensor } from "../../src/image/to-tensor.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import { ORT_WEB_FILES } from "../../src/runtime/ort-web-files.js";
import { withKnownOutputs } from "../../src/web/known-integers.js";
import type { KnownIntegers, Manifest, ManifestFile } from "../../src/web/manifest.js";

const { resolve } = createRequire(import.meta.url);

export const INPUT = {
  name: "input",
  height: 32,
  width: 32,
  channels: 3,
  layout: "nhwc",
} as const;
export const PREPROCESSING: Preprocessing = { ...rangePreprocessing(0, 1), mean: [0, 0, 0], std: [1, 1, 1] };

const PICTURES = [1, 5, 16].map((cell, seed) => ({ width: 32, height: 32, seed, cell }));
/** Of the self-test. */
export const TEST_PICTURES: readonly [Image, ...Image[]] = PICTURES.map(noisePicture) as [Image, ...Image[]];

export interface Site {
  readonly manifest: Manifest;
  /** Name -> bytes, the manifest not among them. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A copy that is no Buffer, whose slices would share its memory. */
async function read(path: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(path));
}

function fileOf(file: string, bytes: Uint8Array): ManifestFile {
  return { file, sha256: sha256(bytes), sizeBytes: bytes.length };
}

export function shapeImage(index: number, seed = 9): Image {
  const label = SHAPE_LABELS[index % SHAPE_LABELS.length] ?? "circle";
  const side = SHAPE_IMAGE_SIZE;
  return { width: side, height: side, channels: 3, data: drawShape(label, seed, index) };
}

/** What onnxruntime-node makes of images. */
export async function onCpu(model: Uint8Array, images: readonly Image[]): Promise<number[][]> {
  const session = await cpuRuntime.open({ bytes: model });
  const answers: number[][] = [];
  for (const image of images) {
    const tensor = imageToTensor(image, { ...INPUT, preprocessing: PREPROCESSING });
    const { classes } = await session.run({ input: tensor });
    answers.push(Array.from(classes?.data as Float32Array));
  }
  await session.dispose();
  return answers;
}

/** What onnxruntime-node holds inside for the first picture, for each of the files. */
async function integersOf(models: readonly ModelFile[], picture: Image): Promise<KnownIntegers[]> {
  const [first] = models as [ModelFile];
  const inner = innerTensors(first, first);
  const session = await cpuRuntime.open({ bytes: withKnownOutputs(first.bytes, inner) });
  const results = await session.run({
    input: imageToTensor(picture, { ...INPUT, preprocessing: PREPROCESSING }),
  });
  await session.dispose();
  return Promise.all(models.map((model) => knownIntegers(innerTensors(first, model), results)));
}

/**
 * Of ONNX Runtime alone; withEngine adds the engine.
 *
 * @param loaders also lists the .mjs files, which only browsers can import over a network
 */
export async function shapesSite(loaders: boolean): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), "qdg-web-"));
  const files = new Map<string, Uint8Array>();
  try {
    const output = join(folder, "model.onnx");
    await exportModel({
      model: "models/shapes/model.json",
      output,
      targets: ["cpu", "wasm", "webgpu"],
    });
    files.set("model.onnx", await read(output));
    files.set("model.webgpu.onnx", await read(join(folder, "model.webgpu.onnx")));
  } finally {
    await rm(folder, { recursive: true });
  }
  const images = TEST_PICTURES;
  const wasm = files.get("model.onnx") as Uint8Array;
  const answers = await onCpu(wasm, images);
  const runtime = (["wasm", "webgpu"] as const).flatMap((device) => {
    const { mjs, wasm: binary } = ORT_WEB_FILES[device];
    const names = loaders ? [binary, mjs] : [binary];
    return names.map((name) => ({ engine: "onnxruntime" as const, device, name }));
  });
  for (const { name } of runtime) files.set(name, await read(resolve(`onnxruntime-web/${name}`)));
  const models = (["wasm", "webgpu"] as const).map((device) => {
    const file = device === "wasm" ? "model.onnx" : "model.webgpu.onnx";
    const bytes = files.get(file) as Uint8Array;
    return Object.assign(fileOf(file, bytes), { device, path: file, bytes });
  });
  const integers = await integersOf(models, images[0]);
  const manifest: Manifest = {
    version: 2,
    float32: null,
    models: models.map(({ device, file, bytes }, i) =>
      Object.assign(fileOf(file, bytes), { device, integers: integers[i] as KnownIntegers }),
    ),
    classifier: {
      labels: [...SHAPE_LABELS],
      preprocessing: PREPROCESSING,
      input: INPUT,
      output: { name: "classes", kind: "softmax" },
    },
    selfTest: {
      cases: PICTURES.map((picture, i) => ({
        kind: "picture",
        ...picture,
        sha256: sha256((images[i] as Image).data),
        expected: {
          classes: { length: 7, every: 1, values: answers[i] as number[], tolerance: 1e-5 },
        },
      })),
    },
    runtime: {
      files: runtime.map((each) =>
        Object.assign({}, each, fileOf(each.name, files.get(each.name) as Uint8Array)),
      ),
    },
  };
  return { manifest, files };
}

/** The site with the engine's kernels. */
export async function withEngine(site: Site): Promise<Site> {
  const kernels = await engineFiles();
  const added = kernels.map(({ engine, device, name, bytes }) =>
    Object.assign({ engine, device, name }, fileOf(name, bytes)),
  );
  return {
    manifest: { ...site.manifest, runtime: { files: [...added, ...site.manifest.runtime.files] } },
    files: new Map([...site.files, ...kernels.map(({ name, bytes }) => [name, bytes] as const)]),
  };
}

export interface TestServer {
  /** Ends in a slash. */
  readonly url: string;
  /** Paths asked for, in order. */
  readonly requests: string[];
  readonly files: ReadonlyMap<string, Uint8Array | string>;
  close(): Promise<void>;
}

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html",
  js: "text/javascript",
  mjs: "text/javascript",
  wasm: "application/wasm",
  json: "application/json",
};

/** Serves bytes and texts by path. Of a file among `stalls` 1000 bytes are sent, and then nothing. */
export async function serve(
  files: ReadonlyMap<string, Uint8Array | string>,
  headers: Readonly<Record<string, string>> = {},
  stalls: ReadonlySet<string> = new Set(),
): Promise<TestServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname.slice(1);
    requests.push(path);
    const body = files.get(path);
    if (body === undefined) {
      response.writeHead(404).end();
      return;
    }
    const type = TYPES[path.split(".").at(-1) ?? ""] ?? "application/octet-stream";
    response.writeHead(200, { "Content-Type": type, "Content-Length": Buffer.byteLength(body), ...headers });
    if (stalls.has(path)) response.write(Buffer.from(body).subarray(0, 1000));
    else response.end(body);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    requests,
    files,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

/** The paths of a site in a folder, to be served. */
export function pathsOf(
  site: Site,
  folder: string,
  manifest: unknown = site.manifest,
): Map<string, Uint8Array | string> {
  return new Map<string, Uint8Array | string>([
    ...[...site.files].map(([name, bytes]) => [`${folder}/${name}`, bytes] as const),
    [`${folder}/manifest.json`, JSON.stringify(manifest)],
  ]);
}

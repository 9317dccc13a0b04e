// `qdg certify` as a function: every target against the reference over the same inputs, and what of that is proven. Runs
// the very bytes that it hashes, and raises all else from them, never from what an exporter remembers.

import { createHash, type Hash } from "node:crypto";
import { QdgError } from "../base/error.js";
import { noProgress, type Progress } from "../base/progress.js";
import type { Tensor } from "../base/tensor.js";
import { VERSION } from "../base/version.js";
import type { BrokenImage } from "../image/folder.js";
import { type Preprocessing, preprocessingToJson } from "../image/preprocessing.js";
import { encodeModel } from "../onnx/codec.js";
import { openModel } from "../open/open-model.js";
import { referenceRuntime } from "../runtime/reference.js";
import { requireAvailable, runtimeOf } from "../runtime/registry.js";
import type { BrowserOptions, Runtime, RuntimeName, RuntimeOptions, Session } from "../runtime/runtime.js";
import {
  type Certificate,
  CERTIFICATE_VERSION,
  type CertifiedData,
  type CertifiedFile,
  type CertifiedTarget,
  uncertifiedFiles,
} from "./certificate.js";
import { boundedOutputs } from "./bounded-outputs.js";
import { brokenPromises, CertifiedRun } from "./certified-run.js";
import { modelToGraph } from "../onnx/to-graph.js";
import { layerExactness } from "../export/exactness/layers.js";
import { type HashedFile, fileFor, readExportedFiles } from "./exported-files.js";
import { floatLife } from "./float-life.js";
import { openInside } from "./float-network.js";
import type { InputSource } from "./inputs.js";
import { Judge } from "./judge.js";
import { matchTensors, type TensorMatch } from "./match-tensors.js";
import { DEFAULT_COUNT, openData } from "./parity.js";
import { quantizedTensors } from "../export/quantized-tensors.js";
import { ReferenceRun } from "./reference-run.js";
import { type FloatLife, judgeLife, type Life, looksDead } from "./verdict.js";
import { withOutputs } from "../onnx/with-outputs.js";

export interface CertifyOptions {
  /** Path of the model that was exported: a model.json or a float ONNX file. */
  readonly model: string;
  /** The folder with its exported files. */
  readonly folder: string;
  /** A folder of images, .npy files (`input=file.npy`), or `random:100`. */
  readonly data: readonly string[];
  readonly targets: readonly CertifiedTarget[];
  /** Samples at most, 100 when absent; null: all. */
  readonly count?: number | null;
  readonly seed?: number;
  readonly skipBroken?: boolean;
  readonly onSkipped?: (broken: BrokenImage) => void;
  /** Instead of what the file says. */
  readonly preprocessing?: Preprocessing;
  /** Height and width where the file leaves them open. */
  readonly inputSize?: readonly [number, number];
  /** Names of the classes in the order of the output, instead of what the file says. */
  readonly labels?: readonly string[];
  /**
   * After so many inputs the engine stands in for the reference, if it was equal in every integer of those: the reference
   * takes seconds an image. null (default): the reference computes all.
   */
  readonly engineAfter?: number | null;
  /** The certificate says which browser ran, not where it lies. */
  readonly runtimeOptions?: BrowserOptions;
  readonly progress?: Progress;
  /** Where runtimes come from, when not from the registry. */
  readonly runtimeOf?: (name: RuntimeName) => Promise<Runtime>;
}

/** As every target is opened: one thread, so that nothing depends on how work is divided. */
const SESSION = { threads: 1, optimization: "all" } as const satisfies RuntimeOptions;

/** What is checked before anything runs. */
export interface CertifiedSources {
  readonly source: string;
  readonly files: readonly HashedFile[];
  readonly inputs: InputSource;
  readonly data: CertifiedData;
  /** The file that the reference runs. */
  readonly reference: HashedFile;
}

/**
 * Certifies the files of one model on `targets`.
 *
 * @throws QdgError `not-found`, `usage`, `invalid-data` for files of another model; `unavailable` for a target that
 * cannot be used here, with its reason and remedy; what runtimes throw
 */
export async function certify(options: CertifyOptions): Promise<Certificate> {
  return certifySources(options, await readSources(options));
}

/** Reads and hashes the model, its files and the data. */
export async function readSources(options: CertifyOptions): Promise<CertifiedSources> {
  const { model, folder, targets, progress = noProgress } = options;
  const [first] = targets;
  if (first === undefined) throw new QdgError("usage", "--targets", "got none, expected cpu, wasm or others");
  const source = (await openModel(model)).sourceHash;
  const files = await readExportedFiles(folder, source);
  for (const target of targets) fileFor(target, files, folder);
  // The host's file, because its integers are bytes; a GPU's where it stands alone.
  const quantized = files.filter(({ metadata }) => metadata.form !== null);
  const reference =
    quantized.find(({ metadata }) => metadata.form === "integer") ?? fileFor(first, files, folder);
  const { data: sources, count = DEFAULT_COUNT, seed = 0, skipBroken = false } = options;
  const { onSkipped, preprocessing = null, inputSize = null, labels = null, engineAfter = null } = options;
  const inputs = await openData(reference.model, reference.metadata, {
    data: sources,
    count,
    seed,
    skipBroken,
    ...(onSkipped && { onSkipped }),
    ...(preprocessing && { preprocessing }),
    ...(inputSize && { inputSize }),
  });
  const hash = createHash("sha256");
  let read = 0;
  for await (const { name, label, group, feeds } of inputs.read()) {
    hash.update(`${JSON.stringify([name, label, group])}\n`);
    for (const [input, tensor] of Object.entries(feeds)) hashTensor(hash, input, tensor);
    progress.report("reading data", ++read, inputs.count);
  }
  if (read === 0) throw new QdgError("invalid-data", inputs.description, "no input could be read");
  const { description } = inputs;
  const data: CertifiedData = {
    sources,
    count,
    seed,
    skipBroken,
    preprocessing: preprocessing && preprocessingToJson(preprocessing),
    inputSize,
    labels,
    engineAfter,
    description,
    inputs: read,
    sha256: hash.digest("hex"),
  };
  return { source, files, inputs, data, reference };
}

/** The rest of {@link certify}. */
export async function certifySources(
  options: CertifyOptions,
  { source, files, inputs, data, reference: referenceFile }: CertifiedSources,
): Promise<Certificate> {
  const { model, folder, targets, progress = noProgress } = options;
  const sessions: Session[] = [];
  try {
    const open = async (runtime: Runtime, bytes: Uint8Array): Promise<Session> => {
      const session = await runtime.open({ bytes }, { ...options.runtimeOptions, ...SESSION });
      sessions.push(session);
      return session;
    };
    const tensors = quantizedTensors(referenceFile.model);
    const outputs = (referenceFile.model.graph?.output ?? []).map(({ name = "" }) => name);
    const inner = encodeModel(withOutputs(referenceFile.model, tensors));
    const names = tensors.map(({ name }) => name);
    const judge = await Judge.of(await open(referenceRuntime, inner), names, data.engineAfter, async () =>
      open(await (options.runtimeOf ?? runtimeOf)("engine"), inner),
    );
    const reference = new ReferenceRun(tensors, outputs, data.labels ?? referenceFile.metadata.labels);
    const floors = boundedOutputs(modelToGraph(referenceFile.model));
    const runs: CertifiedRun[] = [];
    const matches = new Map<HashedFile, TensorMatch>();
    for (const target of targets) {
      const runtime = await (options.runtimeOf ?? runtimeOf)(target);
      const version = await requireAvailable(runtime, options.runtimeOptions);
      const file = fileFor(target, files, folder);
      const match = matches.get(file) ?? matchTensors(referenceFile.model, file.model);
      matches.set(file, match);
      const { pairs } = match;
      const deployed = await open(runtime, file.bytes);
      const inside = pairs.map(({ candidate }) => candidate);
      const opened = await open(runtime, encodeModel(withOutputs(file.model, inside)));
      const given = { target, runtime: version, file: file.name, deployed, opened, pairs, outputs, floors };
      runs.push(new CertifiedRun(given));
    }
    let done = 0;
    for await (const input of inputs.read()) {
      const expected = await judge.run(input.feeds);
      const label = reference.add(input, expected);
      for (const run of runs) await run.add(input, expected, label);
      progress.report("comparing", ++done, data.inputs);
    }
    const results = runs.map((run) => run.result());
    const unmatched = [...matches].flatMap(([{ name }, match]) =>
      match.unmatched.map((each) => `${name}: quantized tensor ${each} and cannot be compared`),
    );
    const life = reference.life();
    const float = await lifeOfFloat(options, life, referenceFile, inputs);
    const alive = judgeLife(life, float, { quantized: true, random: inputs.random ?? false });
    const dead = alive.checks.flatMap((check) => check.reasons);
    const reasons = [...dead, ...unmatched, ...results.flatMap(brokenPromises)];
    const run = [...matches.keys()];
    const certified = files.map((file) =>
      certifiedFile(
        file,
        targets.filter((target) => fileFor(target, files, folder) === file),
      ),
    );
    return {
      qdgCertificate: CERTIFICATE_VERSION,
      reasons,
      notes: [...reference.notes(), ...judge.notes(), ...alive.notes],
      model: { path: model, sha256: source },
      folder,
      files: certified,
      uncertified: uncertifiedFiles(certified),
      versions: {
        qdg: VERSION,
        node: process.versions.node,
        platform: `${process.platform} ${process.arch}`,
      },
      session: SESSION,
      data,
      reference: {
        file: referenceFile.name,
        inputs: judge.inputs,
        tensors: reference
          .tensorUse()
          .map(({ name, layer, bits, levelsUsed }) => ({ name, layer, bits, levelsUsed })),
        classesPredicted: reference.classesPredicted(),
        accuracy: reference.accuracy(),
      },
      targets: results,
      exactness: run.map((file) => ({ file: file.name, layers: layerExactness(file.model) })),
    };
  } finally {
    for (const session of sessions) await session.dispose();
  }
}

/** What the model's float network does on the same inputs, asked only where the file looks dead. */
async function lifeOfFloat(
  { model: name, progress = noProgress }: CertifyOptions,
  life: Life,
  { model: file, metadata }: HashedFile,
  inputs: InputSource,
): Promise<FloatLife | null> {
  if (!looksDead(life)) return null;
  const tensors = life.dead.map((tensor) => tensor.name);
  const model = await openModel(name);
  // A network with its channels last is one of tfjs, whose operators the reference has.
  const runtime = model.facts.layout === "nhwc" ? "reference" : "cpu";
  return floatLife({
    model: { name, runtime },
    network: await openInside(model, tensors, await runtimeOf(runtime)),
    outputs: (file.graph?.output ?? []).map((output) => output.name ?? ""),
    layout: metadata.layout,
    inputs,
    progress,
  });
}

function certifiedFile(
  { name, sha256, bytes, metadata: { form, scales } }: HashedFile,
  targets: readonly CertifiedTarget[],
): CertifiedFile {
  return { name, sha256, sizeBytes: bytes.length, form, scales, targets };
}

function hashTensor(hash: Hash, name: string, { dtype, shape, data }: Tensor): void {
  hash.update(`${JSON.stringify([name, dtype, shape])}\n`);
  hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

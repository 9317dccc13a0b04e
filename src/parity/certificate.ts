// What a certificate holds, and what each target promises. No numbers are made here: certify.ts does that, and
// read-certificate.ts reads them back.

import type { LayerExactness } from "../export/exactness/layers.js";
import type { PreprocessingJson } from "../image/preprocessing.js";
import { RUNTIME_NAMES, type RuntimeName, RUNTIMES } from "../runtime/runtime.js";
import type { Difference } from "./locate.js";
import type { GroupAccuracy } from "./metrics/accuracy.js";

export const CERTIFICATE_VERSION = 2;

/** Runtimes that files are made for. */
export type CertifiedTarget = {
  [Name in RuntimeName]: (typeof RUNTIMES)[Name]["certified"] extends true ? Name : never;
}[RuntimeName];
export const CERTIFIED_TARGETS: readonly CertifiedTarget[] = RUNTIME_NAMES.filter(
  (name): name is CertifiedTarget => RUNTIMES[name].certified,
);

/** What a target may differ from the reference in; outside of it a certificate is not passed. */
export interface TargetPromise {
  /** Largest |candidate - reference| of a quantized element. */
  readonly steps: number;
  /** max |a - b| / max |a| of an output, within one input; of a bounded output (a softmax) max |a| counts as 1 at least. */
  readonly relative: number;
  /** Inputs whose predicted class is another. */
  readonly predictions: number;
}

/**
 * Integers are the same or they are not. The reals after the last of them are a sum of products each, which
 * runtimes add in different orders: a few units of float32's 6e-8, with room for a softmax.
 */
const SAME: TargetPromise = { steps: 0, relative: 1e-5, predictions: 0 };

/** The one table of what each target promises. */
export const PROMISES: { readonly [Target in CertifiedTarget]: TargetPromise } = {
  cpu: SAME,
  wasm: SAME,
  webgpu: SAME,
  engine: SAME,
  "browser-wasm": SAME,
  "browser-webgpu": SAME,
  "browser-engine": SAME,
};

export interface CertifiedFile {
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** How the file says that it carries integers; null for a float32 file, which no target runs here. */
  readonly form: string | null;
  readonly scales: string | null;
  /** The targets that ran it. */
  readonly targets: readonly CertifiedTarget[];
}

export interface CertifiedData {
  /** As given: a folder of images, .npy files, or random:100. */
  readonly sources: readonly string[];
  readonly count: number | null;
  readonly seed: number;
  readonly skipBroken: boolean;
  /** Given instead of what the file says, or where it says nothing; null: the file's own. */
  readonly preprocessing: PreprocessingJson | null;
  readonly inputSize: readonly [height: number, width: number] | null;
  readonly labels: readonly string[] | null;
  /** Inputs after which the engine was to stand in for the reference; null: never. */
  readonly engineAfter: number | null;
  readonly description: string;
  /** Inputs that were compared. */
  readonly inputs: number;
  /** Over names, labels and the numbers that were fed, in order. */
  readonly sha256: string;
}

/** How the reference uses a quantized tensor, over all inputs. */
export interface CertifiedTensor {
  readonly name: string;
  readonly layer: string;
  readonly bits: number;
  readonly levelsUsed: number;
}

/** Elements by how many steps they differ, ascending; 0 is among them. Farther than 256 counts as 256. */
export type StepCounts = readonly (readonly [steps: number, count: number])[];

export interface TargetResult {
  readonly target: CertifiedTarget;
  /** The runtime's words on itself: version, browser, adapter. */
  readonly runtime: string;
  readonly file: string;
  readonly promise: TargetPromise;
  /** Quantized tensors compared, and their elements over all inputs. */
  readonly tensors: number;
  readonly elements: number;
  readonly histogram: StepCounts;
  /** Elements that are no finite number; not in the histogram. */
  readonly notFinite: number;
  /** Tensors with an element that differs. */
  readonly differing: readonly { readonly name: string; readonly layer: string; readonly count: number }[];
  readonly firstDifference: Difference | null;
  /** Of the file as it is; null: not finite, or everything differs from 0. */
  readonly outputs: readonly { readonly name: string; readonly relativeDifference: number | null }[];
  /** Of the file as it is; null where no output is a classifier's. */
  readonly predictions: { readonly compared: number; readonly differing: number } | null;
  readonly accuracy: readonly GroupAccuracy[];
}

export interface Certificate {
  readonly qdgCertificate: typeof CERTIFICATE_VERSION;
  /** What falls outside; see {@link hasPassed}. */
  readonly reasons: readonly string[];
  readonly notes: readonly string[];
  /** SHA-256 over model.json and its shards. */
  readonly model: { readonly path: string; readonly sha256: string };
  readonly folder: string;
  readonly files: readonly CertifiedFile[];
  /** Names of those that no target ran: they lie in the folder, and nothing is certified of them. */
  readonly uncertified: readonly string[];
  readonly versions: { readonly qdg: string; readonly node: string; readonly platform: string };
  readonly session: { readonly threads: number; readonly optimization: string };
  readonly data: CertifiedData;
  readonly reference: {
    readonly file: string;
    /** How many inputs the interpreter computed, and how many the engine in its place. */
    readonly inputs: { readonly reference: number; readonly engine: number };
    readonly tensors: readonly CertifiedTensor[];
    readonly classesPredicted: Readonly<Record<string, number>>;
    readonly accuracy: readonly GroupAccuracy[];
  };
  readonly targets: readonly TargetResult[];
  readonly exactness: readonly { readonly file: string; readonly layers: readonly LayerExactness[] }[];
}

/** Nothing falls outside. The verdict is nowhere stored: it follows from the reasons. */
export function hasPassed({ reasons }: Pick<Certificate, "reasons">): boolean {
  return reasons.length === 0;
}

/** See {@link Certificate.uncertified}. */
export function uncertifiedFiles(files: readonly CertifiedFile[]): string[] {
  return files.filter(({ targets }) => targets.length === 0).map(({ name }) => name);
}

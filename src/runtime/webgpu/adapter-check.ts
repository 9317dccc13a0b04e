// Tries an adapter in a process of its own: a graphics driver may take down the process that loads it, and ONNX
// Runtime looks for an adapter once in the life of a process. Never touches Vulkan in this process.

import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { errorText } from "../../base/error.js";
import { float32 } from "../../base/tensor.js";
import { GraphBuilder } from "../../graph/builder.js";
import { encodeModel } from "../../onnx/codec.js";
import { graphToModel } from "../../onnx/from-graph.js";
import { DEFAULT_OPSET, irVersionFor } from "../../onnx/opset.js";
import { VERSION } from "../../base/version.js";
import type { AdapterChoice } from "./vulkan.js";

const LIMIT_MS = 60_000;

/** Halves and the numbers next to them: what a sum that was not rounded half to even would give away. */
const PROBES = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 127.5, 0.49999997, 1.4999999, 2.5000002];
const ROUNDED = [-2, -2, 0, 0, 2, 2, 4, 128, 0, 1, 3];

export type AdapterVerdict =
  | { readonly works: true; readonly version: string }
  /** `fault`: whether onnxruntime-node does not load, or the adapter does not do what it must. */
  | { readonly works: false; readonly fault: "runtime" | "adapter"; readonly problem: string };

/**
 * Loads a small model on WebGPU and sees that `x + 1.5 * 2^23 - 1.5 * 2^23` rounds half to even: a driver that
 * reassociates sums would return x.
 */
export async function checkAdapter(
  choice: AdapterChoice,
  limitMs: number = LIMIT_MS,
): Promise<AdapterVerdict> {
  let ort: string;
  try {
    ort = createRequire(import.meta.url).resolve("onnxruntime-node");
  } catch (thrown) {
    return { works: false, fault: "runtime", problem: errorText(thrown) };
  }
  const { driver, loaderFolder } = choice;
  const libraries = [process.env["LD_LIBRARY_PATH"], loaderFolder].filter(Boolean).join(":");
  const env = {
    ...process.env,
    ...(driver !== null && { VK_ICD_FILENAMES: driver }),
    ...(libraries !== "" && { LD_LIBRARY_PATH: libraries }),
  };
  const model = Buffer.from(roundingModel()).toString("base64");
  const parameters = [ort, model, JSON.stringify(PROBES)];
  return new Promise((resolve) => {
    const options = { env, timeout: limitMs, killSignal: "SIGKILL" } as const;
    execFile(process.execPath, ["-e", CHILD, ...parameters], options, (error, stdout, stderr) => {
      const said = parseAnswer(stdout);
      resolve(said?.results ? verdictOn(said.results, said.version) : failed(said, error, stderr, limitMs));
    });
  });
}

interface Answer {
  readonly version?: string;
  readonly results?: readonly number[];
  readonly error?: string;
}

/** Answers by one line of JSON, the last: what a driver writes to stdout comes before it. */
const CHILD = `
const [ortPath, model, probes] = process.argv.slice(1);
const answer = (fields) => require("node:fs").writeSync(1, "\\n" + JSON.stringify(fields));
let version;
(async () => {
  const ort = require(ortPath);
  version = ort.env.versions.node;
  if (!ort.listSupportedBackends().some(({ name }) => name === "webgpu")) {
    throw new Error("this build of onnxruntime-node has no WebGPU (" + process.platform + " " + process.arch + ")");
  }
  ort.env.logLevel = "fatal";
  const session = await ort.InferenceSession.create(Buffer.from(model, "base64"), {
    executionProviders: ["webgpu"],
    logSeverityLevel: 4,
    extra: { session: { disable_cpu_ep_fallback: "1" } },
  });
  const x = new ort.Tensor("float32", Float32Array.from(JSON.parse(probes)), [JSON.parse(probes).length]);
  const { y } = await session.run({ x });
  answer({ version, results: [...y.data] });
})().catch((thrown) => answer({ version, error: String(thrown.message) }));
`;

function roundingModel(): Uint8Array {
  const net = new GraphBuilder("rounding");
  const shape = [PROBES.length];
  const shift = net.constant("shift", float32([], [12582912]));
  const shifted = net.node("Add", "round", [net.input("x", shape), shift], { name: "shifted", shape });
  net.output(net.node("Sub", "round", [shifted, shift], { name: "y", shape }));
  const versions = { opset: DEFAULT_OPSET, irVersion: irVersionFor(DEFAULT_OPSET), producerVersion: VERSION };
  return encodeModel(graphToModel(net.graph, { ...versions, metadata: {} }));
}

function parseAnswer(stdout: string): Answer | null {
  try {
    return JSON.parse(stdout.split("\n").at(-1) ?? "") as Answer;
  } catch {
    return null;
  }
}

function verdictOn(results: readonly number[], version = "unknown"): AdapterVerdict {
  const wrong = ROUNDED.findIndex((expected, i) => expected !== results[i]);
  if (wrong < 0) return { works: true, version };
  const problem = `it rounds ${PROBES[wrong]} to ${results[wrong]}, expected ${ROUNDED[wrong]}: sums are not computed as written`;
  return { works: false, fault: "adapter", problem };
}

type ChildError = Error & {
  readonly killed?: boolean;
  readonly signal?: NodeJS.Signals | null;
  readonly code?: string | number | null;
};

function failed(
  said: Answer | null,
  error: ChildError | null,
  stderr: string,
  limitMs: number,
): AdapterVerdict {
  const warnings = stderr.split("\n").filter((line) => line.startsWith("Warning: "));
  const reasons = [said?.error ?? endOf(error, limitMs), ...warnings].map(withoutPlace);
  const fault = said && said.version === undefined ? "runtime" : "adapter";
  return { works: false, fault, problem: [...new Set(reasons)].join("; ") };
}

/** Without the file, line and condition of the source that ONNX Runtime puts before its words. */
function withoutPlace(text: string): string {
  return text.replace(/^.*was false\. /s, "").trim();
}

function endOf(error: ChildError | null, limitMs: number): string {
  if (error?.killed) return `a trial of it gave no answer within ${limitMs / 1000} s`;
  return `a trial of it ended with ${error?.signal ?? `exit code ${error?.code ?? 0}`}`;
}

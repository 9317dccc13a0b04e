// tfjs-node, TensorFlow's own kernels behind tfjs. An optional package with a native library: it is not loaded
// before it is asked for, and whatever goes wrong is a reason that can be shown.

import { createRequire } from "node:module";
import * as tf from "@tensorflow/tfjs";
import { errorText } from "../../base/error.js";
import { registerKernel } from "./kernel.js";
import { TENSORFLOW_KERNELS } from "./tensorflow-kernels/kernels.js";

/** What tfjs calls the backend. */
export const TENSORFLOW_BACKEND = "tensorflow";

/** What is used of tfjs-node; the package, being optional, may not be there to type against. */
interface TfjsNode {
  readonly Tensor: unknown;
  readonly version: Readonly<Record<string, string>>;
}

interface NodeBackend {
  readonly binding?: { readonly TF_Version?: string };
}

let version: string | null = null;

/**
 * Loads the library, leaving tfjs's current backend as it is.
 *
 * @returns the version
 * @throws Error with the reason on one line
 */
export async function startTensorflow(): Promise<string> {
  const before = tf.getBackend();
  try {
    version ??= load();
    return version;
  } finally {
    // Loading tfjs-node makes it the current backend.
    if (before && tf.getBackend() !== before) await tf.setBackend(before);
  }
}

function load(): string {
  const require = createRequire(import.meta.url);
  quiet(require);
  let node: TfjsNode;
  try {
    node = require("@tensorflow/tfjs-node") as TfjsNode;
  } catch (thrown) {
    const missing = (thrown as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND";
    throw new Error(missing ? missingText(thrown) : errorText(thrown), { cause: thrown });
  }
  if (node.Tensor !== tf.Tensor) {
    throw new Error(
      "it brings a tfjs of its own, so its tensors are not ours; install @tensorflow/tfjs-node beside " +
        `@tensorflow/tfjs ${tf.version.tfjs}, in one version`,
    );
  }
  const sum = tf.tidy(() => tf.add(tf.scalar(2), 3).dataSync()[0]);
  if (sum !== 5) throw new Error(`its kernels are broken: 2 + 3 gave ${String(sum)}`);
  for (const kernel of TENSORFLOW_KERNELS) registerKernel(kernel, TENSORFLOW_BACKEND);
  const library = (tf.backend() as NodeBackend).binding?.TF_Version;
  return `@tensorflow/tfjs-node ${node.version["tfjs-node"]} (TensorFlow ${library ?? "of unknown version"})`;
}

/** The package itself is missing, or something that it needs. */
function missingText(thrown: unknown): string {
  const text = errorText(thrown);
  return /'@tensorflow\/tfjs-node'/.test(text) ? "@tensorflow/tfjs-node is not installed" : text;
}

/** Before loading: TensorFlow reads the variable once; tfjs-node asks for a function that newer Nodes warn of or lack. */
function quiet(require: NodeJS.Require): void {
  process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "2";
  const util = require("node:util") as { isNullOrUndefined?: (value: unknown) => boolean };
  util.isNullOrUndefined = (value) => value === null || value === undefined;
}

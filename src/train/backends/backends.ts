// Chooses what tfjs computes with in training. The backend is one variable of tfjs for the whole process, and this
// is the only place of training that sets it.

import { existsSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { errorText, QdgError } from "../../base/error.js";
import { startTensorflow, TENSORFLOW_BACKEND } from "./tensorflow.js";
import { startWasm, WASM_BACKEND } from "./wasm.js";
import { LOOPS_FILE } from "./wasm-kernels/loops.js";

/** Fastest first. */
export const BACKEND_NAMES = ["tensorflow", "wasm"] as const;
export type BackendName = (typeof BACKEND_NAMES)[number];

/** `auto`: the first that loads. */
export type BackendChoice = BackendName | "auto";

export interface UsedBackend {
  readonly name: BackendName;
  /** Of the packages behind it. */
  readonly version: string;
  /** With `auto`: why the faster one was not taken, and how to get it. */
  readonly note?: string;
}

interface Backend {
  /** What tfjs calls it. */
  readonly registered: string;
  readonly start: () => Promise<string>;
  readonly remedy: string;
}

const TFJS_NODE = "@tensorflow/tfjs-node@4.22.0";
/** In a clone; an installed package has no scripts. */
const SETUP_SCRIPT = new URL("../../../scripts/setup-tensorflow.mjs", import.meta.url);

/** What gets the native library, where this module stands in a clone or in an installed package. */
export function remedyAt(setupScript: URL = SETUP_SCRIPT): string {
  if (existsSync(setupScript)) return "npm run setup:tensorflow";
  return (
    `npm install ${TFJS_NODE} beside qdg, where its own download can be reached; ` +
    "a clone of qdg builds it without (npm run setup:tensorflow)"
  );
}

/** What gets the WebAssembly backend: its package, or in a clone our own loops over it. */
export function wasmRemedyAt(loops: URL = LOOPS_FILE): string {
  return existsSync(loops) ? "npm install @tensorflow/tfjs-backend-wasm" : "npm run build";
}

const BACKENDS: Readonly<Record<BackendName, Backend>> = {
  tensorflow: { registered: TENSORFLOW_BACKEND, start: startTensorflow, remedy: remedyAt() },
  wasm: { registered: WASM_BACKEND, start: startWasm, remedy: wasmRemedyAt() },
};

/**
 * Makes a backend tfjs's current one. A second call may choose another; tensors go along when they are next used.
 *
 * @throws QdgError `usage` when there is none of that name, `unavailable` with the reason when it does not load, and
 * the command that mends it
 */
export async function useBackend(choice: BackendChoice): Promise<UsedBackend> {
  const names: readonly BackendName[] = choice === "auto" ? BACKEND_NAMES : [choice];
  if (!names.every((name) => BACKEND_NAMES.includes(name))) {
    throw new QdgError("usage", "--backend", `got "${choice}", expected ${BACKEND_NAMES.join(", ")} or auto`);
  }
  // tfjs's production flag mutes its advice on the console and does nothing else.
  tf.env().set("PROD", true);
  const reasons: string[] = [];
  let cause: unknown;
  for (const name of names) {
    const { registered, start, remedy } = BACKENDS[name];
    try {
      const version = await start();
      if (!(await tf.setBackend(registered))) throw new Error("it did not start");
      return reasons.length === 0 ? { name, version } : { name, version, note: reasons.join("; ") };
    } catch (thrown) {
      cause = thrown;
      reasons.push(`${name} did not load: ${errorText(thrown)}; ${remedy}`);
    }
  }
  throw new QdgError("unavailable", "--backend", reasons.join("; "), { cause });
}

// The backends that tests of training run on; those of one that does not load here are skipped, with its reason.

import { describe, type TestOptions } from "vitest";
import { BACKEND_NAMES, type BackendName, useBackend } from "../../../src/train/backends/backends.js";
import { needs } from "../../support/needs.js";

export interface TestBackend {
  readonly name: BackendName;
  /** Of tests that run on it. */
  readonly options: TestOptions;
}

/** tensorflow (where `npm run setup:tensorflow`, or npm itself, has installed the native library) and wasm. */
export const BACKENDS: readonly TestBackend[] = await tryAll();

/** Tests on each backend. */
export function describeOnBackends(tests: (backend: BackendName) => void): void {
  for (const { name, options } of BACKENDS) {
    describe(`on backend ${name}`, options, () => {
      tests(name);
    });
  }
}

async function tryAll(): Promise<TestBackend[]> {
  const tried: TestBackend[] = [];
  for (const name of BACKEND_NAMES) {
    // It may be installed for another version of Node, so only a try tells.
    const missing = await useBackend(name).then(
      () => null,
      (thrown: Error) => `the backend ${name}: ${thrown.message}`,
    );
    tried.push({ name, options: needs("tensorflow", missing) });
  }
  return tried;
}

// What a machine may lack, and what is done with tests that need it: they are skipped with the reason, which
// skipped-reporter.ts prints. Where QDG_TEST_NEEDS names the thing, as .ci/run does, they run, and fail without it.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import type { TestOptions } from "vitest";
import { findBrowser } from "../../src/runtime/browser/find-browser.js";
import { webgpuRuntime } from "../../src/runtime/webgpu.js";

/** What QDG_TEST_NEEDS may name, separated by commas. */
export type Need = "browser" | "webgpu" | "tensorflow" | "shared" | "user" | "shell" | "redis";

declare module "vitest" {
  interface TaskMeta {
    /** Why a test is skipped. */
    skipReason?: string;
  }
}

/**
 * Options of a test, or of a describe, that cannot do without `need`.
 *
 * @param missing why it is not there, with the remedy; null where it is
 */
export function needs(need: Need, missing: string | null): TestOptions {
  const demanded = (process.env["QDG_TEST_NEEDS"] ?? "").split(",").includes(need);
  return missing === null || demanded ? {} : { skip: true, meta: { skipReason: `needs ${missing}` } };
}

/** A Chromium, Chrome or Edge. */
export const BROWSER: TestOptions = needs("browser", missingBrowser());

/** The reference models and images, which are no part of the project. */
export const SHARED: TestOptions = needs(
  "shared",
  existsSync("../shared/models") ? null : "the folder ../shared/models, which is not there",
);

/** An administrator writes where nobody may, so there is nothing to see as root. */
export const ORDINARY_USER: TestOptions = needs(
  "user",
  process.getuid?.() === 0 ? "a user who is not root" : null,
);

/** A script that stands in for a program. */
export const SHELL: TestOptions = needs("shell", process.platform === "win32" ? "a POSIX shell" : null);

/** A Redis server, which tests start themselves. */
export const REDIS: TestOptions = needs("redis", missingRedis());

/** An adapter that ONNX Runtime's own WebGPU can use; looked for in a process of its own, so not at once. */
export async function needsWebgpu(): Promise<TestOptions> {
  const probe = await webgpuRuntime.probe();
  return needs("webgpu", probe.available ? null : `WebGPU: ${probe.reason}; ${probe.remedy}`);
}

function missingBrowser(): string | null {
  try {
    if (findBrowser(undefined) !== null) return null;
    return "a browser: there is no Chromium, Chrome or Edge; install one, or set QDG_BROWSER to its program";
  } catch (thrown) {
    return `a browser: ${(thrown as Error).message}`;
  }
}

function missingRedis(): string | null {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" });
    return null;
  } catch {
    return "redis-server, which is not there; install it (apt-get install redis-server)";
  }
}

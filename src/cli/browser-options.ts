// The options of every command that may run a model in a browser: which one, and how long to wait for it.

import type { Command } from "commander";
import { QdgError } from "../base/error.js";
import { type BrowserOptions, type RuntimeName, RUNTIMES } from "../runtime/runtime.js";

export interface BrowserFlags {
  readonly browser?: string | undefined;
  /** In milliseconds, as it was parsed. */
  readonly browserTimeout?: number | undefined;
}

/** A longer wait than any that anybody sits out: a day. */
const MOST_SECONDS = 86_400;

export function addBrowserOptions(command: Command): Command {
  return command
    .option(
      "--browser <program>",
      "Chromium, Chrome or Edge, by path or by a name in PATH, for browser targets",
    )
    .option(
      "--browser-timeout <seconds>",
      "limit of each wait for a browser: start, loading, a run (default: 300)",
      milliseconds,
    );
}

/**
 * What the flags say to runtimes.
 *
 * @param targets null: not known before a file is read
 * @throws QdgError `usage` for a browser that nothing would run in
 */
export function browserOptions(
  { browser, browserTimeout }: BrowserFlags,
  targets: readonly RuntimeName[] | null,
): BrowserOptions {
  if (browser !== undefined && targets?.some((target) => RUNTIMES[target].browser) === false) {
    throw new QdgError(
      "usage",
      "--browser",
      `got "${browser}", expected a target that runs in it, as browser-wasm; got ${targets.join(", ")}`,
    );
  }
  return {
    ...(browser !== undefined && { browser }),
    ...(browserTimeout !== undefined && { timeoutMs: browserTimeout }),
  };
}

function milliseconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds >= 0.001 && seconds <= MOST_SECONDS) return seconds * 1000;
  throw new QdgError(
    "usage",
    "--browser-timeout",
    `got "${text}", expected a number of seconds from 0.001 to ${MOST_SECONDS}`,
  );
}

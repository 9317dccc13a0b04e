// `qdg serve` in a process of its own, as a user runs it. Stopped by its caller, and with this process at the latest.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { CLI } from "./environment.js";

const LIMIT_MS = 30_000;

export interface ServedSite {
  readonly url: string;
  stop(): Promise<void>;
}

/** @throws Error with the command's own words when it does not serve within half a minute */
export async function serveSite(folder: string): Promise<ServedSite> {
  const child = spawn(process.execPath, [CLI, "serve", folder, "--port", "0"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  const killed = (): boolean => child.kill("SIGKILL");
  process.once("exit", killed);
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const stop = async (): Promise<void> => {
    child.kill("SIGINT");
    const limit = setTimeout(killed, LIMIT_MS);
    await ended;
    clearTimeout(limit);
    process.off("exit", killed);
  };
  const signal = AbortSignal.timeout(LIMIT_MS);
  const firstLine = once(createInterface({ input: child.stdout }), "line", { signal });
  firstLine.catch(() => {});
  const [url] = (await Promise.race([firstLine, ended.then(() => [null])]).catch(() => [null])) as [
    string | null,
  ];
  if (url !== null) return { url, stop };
  await stop();
  throw new Error(`qdg serve ${folder}: ${said.trim()}`);
}

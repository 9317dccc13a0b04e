// Which process wrote something, and whether it still runs: for locks and for what a killed process leaves behind.
// Where that cannot be told, as of another machine, the answer is "unknown", and what was written is left alone.

import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

export interface ProcessIdentity {
  readonly pid: number;
  /** Where that number means this process: 8 digits for the machine and, in a container, its own numbering. */
  readonly place: string;
  /** When it started, so that a later process of the same number is another one; "0" where the system does not say. */
  readonly started: string;
}

export type ProcessState = "alive" | "dead" | "unknown";

let own: ProcessIdentity | null = null;

export function thisProcess(): ProcessIdentity {
  own ??= { pid: process.pid, place: placeOf(), started: startOf(process.pid)?.started ?? "0" };
  return own;
}

/** Whether the process still runs; "unknown" for one of another place. */
export function stateOf({ pid, place, started }: ProcessIdentity): ProcessState {
  if (place !== thisProcess().place) return "unknown";
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    // EPERM: it is there, and somebody else's.
    if ((thrown as NodeJS.ErrnoException).code === "ESRCH") return "dead";
  }
  const now = startOf(pid);
  if (now === null) return "alive";
  const isSame = started === "0" || now.started === started;
  return now.isZombie || !isSame ? "dead" : "alive";
}

function placeOf(): string {
  let numbering = "";
  try {
    numbering = readlinkSync("/proc/self/ns/pid");
  } catch {
    // Other systems than Linux number the processes of a machine once.
  }
  return createHash("sha256").update(`${hostname()}\0${numbering}`).digest("hex").slice(0, 8);
}

/** From /proc/<pid>/stat: state and start in ticks since the system started; null where there is no such file. */
function startOf(pid: number): { readonly isZombie: boolean; readonly started: string } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name in parentheses may hold anything; the state is the third field, the start the 22nd.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { isZombie: fields[0] === "Z", started: fields[19] ?? "0" };
  } catch {
    return null;
  }
}

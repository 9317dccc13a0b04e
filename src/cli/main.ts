#!/usr/bin/env node
// The `qdg` command as a program: first as the process that waits for signals, in its turn as the one that works.

import { ONE_PROCESS, supervise } from "./supervise.js";

if (process.env[ONE_PROCESS] === undefined) supervise(import.meta.url);
else {
  const { qdgProgram } = await import("./program.js");
  const { runProgram } = await import("./run-program.js");
  await runProgram(qdgProgram());
}

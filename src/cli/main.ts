#!/usr/bin/env node
// The `qdg` command as a program.

import { qdgProgram } from "./program.js";
import { runProgram } from "./run-program.js";

await runProgram(qdgProgram());

#!/usr/bin/env node
// The `qdg-export` command as a program.

import { qdgExportProgram } from "./program.js";
import { runProgram } from "./run-program.js";

await runProgram(qdgExportProgram());

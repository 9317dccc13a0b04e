#!/usr/bin/env node
// `qdg-export`: the same command as `qdg export`.

import { VERSION } from "../base/version.js";
import { exportCommand } from "./commands/export.js";
import { runProgram } from "./run-program.js";

await runProgram(exportCommand("qdg-export").version(VERSION));

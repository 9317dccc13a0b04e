#!/usr/bin/env node
// The `qdg` command. Commands are listed here and nowhere else.

import { Command } from "commander";
import { VERSION } from "../base/version.js";
import { demoCommand } from "./commands/demo.js";
import { exportCommand } from "./commands/export.js";
import { inspectCommand } from "./commands/inspect.js";
import { parityCommand } from "./commands/parity.js";
import { runProgram } from "./run-program.js";

const program = new Command("qdg")
  .description("from a TensorFlow.js model to low-bit ONNX that computes the same integers on every runtime")
  .version(VERSION)
  .addCommand(exportCommand("export"))
  .addCommand(parityCommand())
  .addCommand(inspectCommand())
  .addCommand(demoCommand());

await runProgram(program);

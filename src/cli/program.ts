// The `qdg` command. Commands are listed here and nowhere else.

import { Command } from "commander";
import { VERSION } from "../base/version.js";
import { certifyCommand } from "./commands/certify.js";
import { demoCommand } from "./commands/demo.js";
import { deployCommand } from "./commands/deploy.js";
import { evaluateCommand } from "./commands/evaluate.js";
import { exportCommand } from "./commands/export.js";
import { inspectCommand } from "./commands/inspect.js";
import { parityCommand } from "./commands/parity.js";
import { reportCommand } from "./commands/report.js";
import { runCommand } from "./commands/run.js";
import { serveCommand } from "./commands/serve.js";
import { sweepCommand } from "./commands/sweep.js";
import { trainCommand } from "./commands/train.js";
import { workCommand } from "./commands/work.js";
import type { Terminal } from "./terminal.js";

export function qdgProgram(terminal: Terminal = process): Command {
  return new Command("qdg")
    .description(
      "from a TensorFlow.js model to low-bit ONNX that computes the same integers on every runtime",
    )
    .version(VERSION)
    .addCommand(trainCommand(terminal))
    .addCommand(sweepCommand(terminal))
    .addCommand(workCommand(terminal))
    .addCommand(exportCommand("export", terminal))
    .addCommand(parityCommand(terminal))
    .addCommand(certifyCommand(terminal))
    .addCommand(inspectCommand(terminal))
    .addCommand(evaluateCommand(terminal))
    .addCommand(runCommand(terminal))
    .addCommand(reportCommand(terminal))
    .addCommand(deployCommand(terminal))
    .addCommand(serveCommand(terminal))
    .addCommand(demoCommand(terminal));
}

/** `qdg-export`: the same command as `qdg export`. */
export function qdgExportProgram(terminal: Terminal = process): Command {
  return exportCommand("qdg-export", terminal).version(VERSION);
}

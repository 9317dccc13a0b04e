// `qdg demo`: the whole way once, on the project's own model, with nothing to prepare.

import { Command } from "commander";
import { runDemo } from "../../parity/demo.js";
import { formatReport } from "../../parity/report.js";
import { formatBytes } from "../format.js";
import { integer } from "../option-parsers.js";
import { terminalProgress } from "../progress.js";
import type { Terminal } from "../terminal.js";

interface Flags {
  readonly output: string;
  readonly count: number;
}

export function demoCommand(terminal: Terminal = process): Command {
  return new Command("demo")
    .description("export the model in models/shapes at 3 bits, run it on CPU and WebAssembly, compare")
    .option("-o, --output <file>", "ONNX file to write", "out/demo/shapes-3bit.onnx")
    .option("--count <n>", "drawn images to run", integer("--count", 2), 210)
    .action(async ({ output, count }: Flags) => {
      const { exported, floatBytes, report } = await runDemo(output, count, terminalProgress());
      terminal.stdout.write(
        `models/shapes/model.json: ${formatBytes(floatBytes)} of float32 weights\n` +
          `${exported.path}: ${formatBytes(exported.sizeBytes)}, scales ${exported.scales}\n\n${formatReport(report)}`,
      );
      terminal.exitCode = report.passed ? 0 : 3;
    });
}

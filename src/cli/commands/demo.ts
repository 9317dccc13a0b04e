// `qdg demo`: the whole way once, from training to parity, with nothing to prepare.

import { Command, Option } from "commander";
import { formatBytes } from "../../base/format-bytes.js";
import { formatReport } from "../../parity/report.js";
import type { BackendChoice } from "../../train/backends/backends.js";
import { formatTable } from "../table.js";
import type { Terminal } from "../terminal.js";
import { TrainProgress } from "../train-progress.js";
import { describe } from "./train.js";

interface Flags {
  readonly output: string;
  readonly backend: BackendChoice;
}

export function demoCommand(terminal: Terminal = process): Command {
  return new Command("demo")
    .description(
      "train on drawn images at 3 bits, export, run a style never seen on CPU and WebAssembly, compare",
    )
    .option("-o, --output <folder>", "folder of the run and the ONNX file; replaced", "out/demo")
    .addOption(
      new Option("--backend <name>", "what trains").choices(["auto", "tensorflow", "wasm"]).default("auto"),
    )
    .action(async ({ output, backend }: Flags) => {
      const { runDemo } = await import("../../parity/demo.js");
      const observer = new TrainProgress(terminal.stderr);
      try {
        const { trained, exported, floatBytes, whole, report } = await runDemo(output, backend, observer);
        observer.clear();
        const same = whole.map(({ target, images, elements, mismatches, predictionsDiffer }) => [
          target,
          String(images),
          String(elements),
          String(Object.values(mismatches).reduce((sum, count) => sum + count, 0)),
          String(predictionsDiffer),
        ]);
        const head = ["target", "images", "quantized elements", "that differ", "predictions that differ"];
        terminal.stdout.write(
          `${describe(trained)}\n${formatBytes(floatBytes)} of float32 weights became ${exported.path}, ${formatBytes(exported.sizeBytes)}, scales ${exported.scales}\n\n` +
            `the evaluated network against the file:\n${formatTable(head, same)}\n\n${formatReport(report)}`,
        );
        const isSame = whole.every(
          ({ mismatches, predictionsDiffer, unmatched, dead }) =>
            Object.keys(mismatches).length === 0 &&
            predictionsDiffer === 0 &&
            unmatched.length === 0 &&
            dead.length === 0,
        );
        terminal.exitCode = report.passed && isSame ? 0 : 3;
      } finally {
        observer.clear();
      }
    });
}

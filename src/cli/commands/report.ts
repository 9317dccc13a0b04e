// `qdg report`: training runs as one page of HTML that opens from disk, without a server or a network.

import { Command } from "commander";
import { formatBytes } from "../../base/format-bytes.js";
import { checkWritable, writeFileAtomic } from "../../base/atomic-file.js";
import { terminalProgress } from "../progress.js";
import { tell, type Terminal } from "../terminal.js";

interface Flags {
  readonly output: string;
  readonly force?: boolean;
  readonly baseline?: string;
}

export function reportCommand(terminal: Terminal = process): Command {
  return new Command("report")
    .description("show training runs side by side on one page: curves, accuracy by domain, scales, freezing")
    .argument("<run...>", "folders that qdg train has written, finished or not, or the --out of qdg sweep")
    .option("--baseline <method>", "compare methods with this one, over the same domains and seeds")
    .option("-o, --output <file>", "HTML file to write", "report.html")
    .option("--force", "replace the file if it exists")
    .action(async (folders: readonly string[], { output, force = false, baseline }: Flags) => {
      await checkWritable(output, force);
      const { trainingReport } = await import("../../train/report/report.js");
      const { html, notes, runs } = await trainingReport(
        folders,
        terminalProgress(),
        baseline === undefined ? {} : { baseline },
      );
      await writeFileAtomic(output, html, { force });
      for (const note of notes) tell(terminal.stderr, `note: ${note}\n`);
      tell(terminal.stderr, `${output}: ${formatBytes(Buffer.byteLength(html))}, ${runs} run(s)\n`);
    });
}

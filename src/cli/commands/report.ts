// `qdg report`: training runs as one page of HTML that opens from disk, without a server or a network.

import { Command } from "commander";
import { formatBytes } from "../../base/format-bytes.js";
import { checkWritable, writeFileAtomic } from "../../base/atomic-file.js";
import { terminalProgress } from "../progress.js";
import { tell, type Terminal } from "../terminal.js";

interface Flags {
  readonly output: string;
  readonly force?: boolean;
}

export function reportCommand(terminal: Terminal = process): Command {
  return new Command("report")
    .description("show training runs side by side on one page: curves, accuracy by domain, scales, freezing")
    .argument("<run...>", "folders that qdg train has written, finished or not")
    .option("-o, --output <file>", "HTML file to write", "report.html")
    .option("--force", "replace the file if it exists")
    .action(async (folders: readonly string[], { output, force = false }: Flags) => {
      await checkWritable(output, force);
      const { trainingReport } = await import("../../train/report/report.js");
      const { html, notes } = await trainingReport(folders, terminalProgress());
      await writeFileAtomic(output, html, { force });
      for (const note of notes) tell(terminal.stderr, `note: ${note}\n`);
      tell(terminal.stderr, `${output}: ${formatBytes(Buffer.byteLength(html))}, ${folders.length} run(s)\n`);
    });
}

// Progress bars on stderr for anything longer than a second; silent when stderr is not a terminal.

import { Presets, SingleBar } from "cli-progress";
import { noProgress, type Progress } from "../base/progress.js";

const QUIET_MS = 1000;

let bar: SingleBar | null = null;

/** A progress that draws one bar per stage, once the stage has taken a second. */
export function terminalProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return noProgress;
  let stage = "";
  let since = 0;
  return {
    report(name, done, total) {
      if (name !== stage) {
        stopProgress();
        stage = name;
        since = performance.now();
      }
      if (!bar && performance.now() - since > QUIET_MS && done < total) {
        const format = `${name.padEnd(12)} {bar} {value}/{total}  {eta_formatted} left`;
        bar = new SingleBar(
          { format, stream, hideCursor: true, clearOnComplete: true },
          Presets.shades_classic,
        );
        bar.start(total, done);
      }
      bar?.update(done);
      if (done >= total) stopProgress();
    },
  };
}

/** Takes the bar away and gives the cursor back. */
export function stopProgress(): void {
  bar?.stop();
  bar = null;
}

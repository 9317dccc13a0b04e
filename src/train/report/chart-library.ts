// The chart library as text for the page: uPlot's built file, its style and its licence, from the installed package.
// Never imported: it needs a browser.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { errorText, QdgError } from "../../base/error.js";

export interface ChartLibrary {
  /** Defines `uPlot`. Its licence stands in front. */
  readonly script: string;
  readonly style: string;
}

/** @throws QdgError `unavailable` where uPlot is not installed */
export async function chartLibrary(): Promise<ChartLibrary> {
  try {
    const script = createRequire(import.meta.url).resolve("uplot/dist/uPlot.iife.min.js");
    const folder = dirname(script);
    const [code, style, license] = await Promise.all(
      [script, join(folder, "uPlot.min.css"), join(folder, "..", "LICENSE")].map((path) =>
        readFile(path, "utf8"),
      ),
    );
    return { script: `/*!\nuPlot\n${license ?? ""}*/\n${code ?? ""}`, style: style ?? "" };
  } catch (thrown) {
    throw new QdgError("unavailable", "uplot", `${errorText(thrown)}; install it (npm install uplot)`, {
      cause: thrown,
    });
  }
}

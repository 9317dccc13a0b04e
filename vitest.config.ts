import { defineConfig } from "vitest/config";
import { SkippedReporter } from "./test/support/skipped-reporter.js";

/** A file for the results as JSON, beside what is printed. */
const report = process.env["QDG_TEST_REPORT"];

const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    reporters: [
      "default",
      new SkippedReporter(),
      ...(report === undefined ? [] : [["json", { outputFile: report }] as ["json", object]]),
    ],
    // Two cores: tfjs and ONNX Runtime both keep theirs busy.
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 180_000,
  },
});

export default config;

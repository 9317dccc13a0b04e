// The last lines of a run: how many tests were skipped, and why. A test that is skipped in silence looks like one
// that passed.

import type { Reporter, TestCase, TestModule, Vitest } from "vitest/node";

export class SkippedReporter implements Reporter {
  /** Whether tests were chosen by name: the others count as skipped, and nobody wants to know why. */
  #chosen = false;

  onInit(vitest: Vitest): void {
    this.#chosen = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    if (this.#chosen) return;
    const text = skippedText(modules.flatMap((module) => [...module.children.allTests("skipped")]));
    if (text !== "") process.stdout.write(text);
  }
}

/** One line for each reason, the most frequent first; nothing where nothing was skipped. */
export function skippedText(tests: readonly Pick<TestCase, "meta" | "result">[]): string {
  const counts = new Map<string, number>();
  for (const each of tests) {
    const reason = each.meta().skipReason ?? noteOf(each) ?? "no reason given";
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  if (counts.size === 0) return "";
  const lines = [...counts].sort((a, b) => b[1] - a[1]).map(([reason, count]) => `  ${count}: ${reason}`);
  return `\n${tests.length} skipped\n${lines.join("\n")}\n`;
}

/** What a test said that skipped itself. */
function noteOf(test: Pick<TestCase, "result">): string | undefined {
  const result = test.result();
  return result.state === "skipped" ? result.note : undefined;
}

// A report as JUnit's XML, which build servers show: one test case per check. Every name out of files is escaped.

import type { ParityReport } from "./report.js";

/**
 * `<testsuites><testsuite><testcase classname="cpu" name="outputs">`, with `<failure>` where a check has reasons and
 * `<skipped>` where it is not judged; what one should know beside them is the suite's `<system-out>`.
 */
export function junitXml(report: ParityReport): string {
  const { checks, notes, model, data } = report;
  const failures = checks.filter(({ reasons }) => reasons.length > 0).length;
  const skipped = checks.filter(({ notJudged }) => notJudged !== null).length;
  const counts = attributes({
    name: `qdg parity ${model}`,
    tests: checks.length,
    failures,
    skipped,
    errors: 0,
  });
  const cases = checks.map(({ subject, name, reasons, notJudged }) => {
    const open = `<testcase${attributes({ classname: subject, name })}`;
    if (notJudged !== null) return `${open}><skipped${attributes({ message: notJudged })}/></testcase>`;
    const [first] = reasons;
    if (first === undefined) return `${open}/>`;
    return `${open}><failure${attributes({ message: first })}>${escaped(reasons.join("\n"))}</failure></testcase>`;
  });
  const remarks = [data, ...notes.map((note) => `note: ${note}`)].join("\n");
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    "<testsuites>",
    `<testsuite${counts}>`,
    ...cases,
    `<system-out>${escaped(remarks)}</system-out>`,
    "</testsuite>",
    "</testsuites>",
    "",
  ].join("\n");
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escaped(String(value))}"`)
    .join("");
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\n": "&#10;",
  "\r": "&#13;",
  "\t": "&#9;",
};

/** XML 1.0 has no other characters, not even escaped. */
const NO_CHARACTER = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu;

function escaped(text: string): string {
  return text
    .replace(NO_CHARACTER, "\uFFFD")
    .replace(/[&<>"\n\r\t]/g, (character) => ENTITIES[character] ?? character);
}

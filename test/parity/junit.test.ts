import { assert, constantFrom, oneof, property, string } from "fast-check";
import { SaxesParser } from "saxes";
import { describe, expect, test } from "vitest";
import { junitXml } from "../../src/parity/junit.js";
import type { ParityReport } from "../../src/parity/report.js";
import { compare } from "../../src/parity/compare.js";
import { reread, tinyInputs, tinyModel } from "./tiny-models.js";

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Element[];
  text: string;
}

/** The elements of a document; throws where it is not well-formed. */
function parsed(xml: string): Element {
  const root: Element = { name: "", attributes: {}, children: [], text: "" };
  const open = [root];
  const parser = new SaxesParser();
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name, attributes }) => {
    const element: Element = {
      name,
      attributes: { ...attributes },
      children: [],
      text: "",
    };
    open.at(-1)?.children.push(element);
    open.push(element);
  });
  parser.on("text", (text) => {
    const element = open.at(-1);
    if (element) element.text += text;
  });
  parser.on("closetag", () => open.pop());
  parser.write(xml).close();
  return root.children[0] as Element;
}

const suiteOf = (report: ParityReport): Element => parsed(junitXml(report)).children[0] as Element;

/** Text as XML 1.0 can hold it: production 2, Char. */
const inXml = (text: string): string =>
  Array.from(text, (character) => {
    const code = character.codePointAt(0) ?? 0;
    const isControl = code < 0x20 && !"\t\n\r".includes(character);
    const isNone = isControl || (code >= 0xd800 && code < 0xe000) || code === 0xfffe || code === 0xffff;
    return isNone ? "\uFFFD" : character;
  }).join("");

async function reportOf(model: Parameters<typeof tinyModel>[0]): Promise<ParityReport> {
  return compare({
    name: "tiny.onnx",
    model: reread(tinyModel(model)),
    targets: ["cpu", "wasm"],
    float: null,
    inputs: tinyInputs(6),
    intermediates: true,
    locate: false,
    layout: null,
    labels: null,
  });
}

describe("a report as JUnit's XML", () => {
  test("has one test case per target and check, none of them failing when the report passes", async () => {
    const report = await reportOf({});
    const suite = suiteOf(report);
    expect(suite.name).toBe("testsuite");
    expect(suite.attributes).toMatchObject({
      name: "qdg parity tiny.onnx",
      tests: "6",
      failures: "0",
      skipped: "0",
    });
    const cases = suite.children.filter(({ name }) => name === "testcase");
    expect(cases.map(({ attributes: { classname, name } }) => `${classname}: ${name}`)).toEqual([
      "cpu: outputs",
      "cpu: quantized tensors",
      "wasm: outputs",
      "wasm: quantized tensors",
      "file: levels in use",
      "file: classes predicted",
    ]);
    expect(cases.flatMap(({ children }) => children)).toEqual([]);
    expect(suite.children.at(-1)).toMatchObject({ name: "system-out", text: "6 made-up images" });
  });

  test("holds every reason as the text of a failure", async () => {
    const report = await reportOf({ floatWeights: true });
    const suite = suiteOf(report);
    const failures = suite.children.flatMap(({ children }) => children);
    expect(failures.map(({ name }) => name)).toEqual(failures.map(() => "failure"));
    expect(suite.attributes["failures"]).toBe(String(failures.length));
    expect(failures.flatMap(({ text }) => text.split("\n"))).toEqual(report.reasons);
    expect(report.reasons.length).toBeGreaterThan(1);
  });

  test("skips what is not judged, and says why", async () => {
    const report = await reportOf({});
    const skipped = {
      subject: "float model",
      name: "outputs by tfjs",
      reasons: [],
      notJudged: "tfjs deviates",
    };
    const suite = suiteOf({ ...report, checks: [...report.checks, skipped], notes: ["look at this"] });
    expect(suite.attributes["skipped"]).toBe("1");
    expect(suite.children.at(-2)?.children[0]).toMatchObject({
      name: "skipped",
      attributes: { message: "tfjs deviates" },
    });
    expect(suite.children.at(-1)?.text).toContain("note: look at this");
  });

  test("is well-formed and gives back any name that files may bear", async () => {
    const report = await reportOf({});
    const name = string({
      unit: oneof(
        string({ unit: "binary", minLength: 1 }),
        constantFrom("<", ">", "&", '"', "'", "\n", "\r", "\t", "\0", "]]>", "\uD800"),
      ),
    });
    assert(
      property(name, (text) => {
        const checks = [{ subject: text, name: text, reasons: [text], notJudged: null }];
        const [first] = suiteOf({ ...report, model: text, checks, notes: [text] }).children;
        expect(first?.attributes).toEqual({ classname: inXml(text), name: inXml(text) });
        expect(first?.children[0]?.attributes["message"]).toBe(inXml(text));
        expect(first?.children[0]?.text).toBe(inXml(text));
      }),
    );
  });
});

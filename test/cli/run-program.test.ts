import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { QdgError, type QdgErrorCode } from "../../src/base/error.js";
import { VERSION } from "../../src/base/version.js";
import { runCommand } from "../../src/cli/run-program.js";
import type { Terminal } from "../../src/cli/terminal.js";
import { runCli } from "../support/run-cli.js";

async function runThrowing(thrown: unknown): Promise<{ code: number; stderr: string }> {
  let stderr = "";
  const terminal: Terminal = {
    stdout: { write: () => expect.unreachable() },
    stderr: { write: (text) => (stderr += text) },
  };
  const program = new Command("made-up").action(() => Promise.reject(thrown));
  return { code: await runCommand(program, [], terminal), stderr };
}

describe("exit codes", () => {
  test.each<[QdgErrorCode, number]>([
    ["usage", 2],
    ["not-found", 1],
    ["invalid-quantization", 1],
    ["io", 1],
  ])("an error of code %s is one line and exit code %i", async (errorCode, code) => {
    const result = await runThrowing(new QdgError(errorCode, "where", "what; remedy"));
    expect(result).toEqual({ code, stderr: `error: where: what; remedy [${errorCode}]\n` });
  });

  test.each([
    ["a thrown error", new TypeError("x is undefined")],
    ["a broken assumption", new QdgError("internal", "lower", "x is undefined")],
  ])("%s is a bug: exit code 70 and the stack", async (_, thrown) => {
    const { code, stderr } = await runThrowing(thrown);
    expect(code).toBe(70);
    expect(stderr).toMatch(/^bug in qdg, please report it/);
    expect(stderr).toContain("x is undefined");
    expect(stderr).toContain("run-program.test.ts");
  });

  test("no name out of a file reaches the terminal as a line break or a code that it obeys", async () => {
    const { stderr } = await runThrowing(new QdgError("invalid-model", "a\r\nb\u001b[2J\u009bc", "what"));
    expect(stderr).toBe("error: a\\u000d\\nb\\u001b[2J\\u009bc: what [invalid-model]\n");
  });
});

describe("qdg", () => {
  test("prints its version and its help on stdout", async () => {
    expect(await runCli("--version")).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: "" });
    const help = await runCli("export", "--help");
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toContain("--calibration <path...>");
  });

  test("without a command says on stderr what there is, and exits with 2", async () => {
    const { code, stdout, stderr } = await runCli();
    expect([code, stdout]).toEqual([2, ""]);
    for (const command of ["export", "parity", "inspect", "demo"]) expect(stderr).toContain(command);
  });

  test("names a command that it lacks, and the nearest one, on one line", async () => {
    const { code, stderr } = await runCli("exprot");
    expect(code).toBe(2);
    expect(stderr).toBe("error: unknown command 'exprot' (Did you mean export?)\n");
  });
});

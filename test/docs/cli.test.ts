// docs/cli.md says what the commands say. After a change of options: npm run docs.

import { expect, test } from "vitest";
import { qdgProgram } from "../../src/cli/program.js";
import { cliPage } from "./cli-page.js";

test("docs/cli.md is what the option tables give", async () => {
  await expect(cliPage(qdgProgram())).toMatchFileSnapshot("../../docs/cli.md");
});

test("every option of every command stands on the page, with its default", () => {
  const page = cliPage(qdgProgram());
  for (const command of qdgProgram().commands) {
    for (const option of command.options)
      expect(page).toContain(`\`${option.flags.replaceAll("|", "\\|")}\``);
  }
  expect(page).toContain("(default: 64)");
});

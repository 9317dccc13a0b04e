// docs/cli.md out of the commands themselves: what --help says, as a page. Only what holds for all commands is
// written here.

import { type Command, Help, type Option } from "commander";
import { fragment, table } from "./markdown.js";

const help = new Help();

/** @param program with its commands, as the command line runs it */
export function cliPage(program: Command): string {
  const commands = program.commands.filter((command) => command.name() !== "help");
  const index = commands.map((command) => [
    `[qdg ${command.name()}](#${fragment(`qdg ${command.name()}`)})`,
    command.description(),
  ]);
  return [
    "# Commands",
    "",
    "Made by `npm run docs` from the tables that the commands read; `qdg <command> --help` prints the same.",
    "",
    table(["command", ""], index),
    "",
    "`qdg-export` is `qdg export` under a name of its own.",
    "",
    ...commands.flatMap((command) => [section(command, program.name()), ""]),
    COMMON,
  ].join("\n");
}

function section(command: Command, parent: string): string {
  const parts = [
    `## ${parent} ${command.name()}`,
    "",
    sentence(command.description()),
    "",
    "```",
    `${parent} ${command.name()} ${command.usage()}`,
    "```",
  ];
  const args = help.visibleArguments(command);
  if (args.length > 0) {
    const rows = args.map((each) => [`\`${each.name()}\``, help.argumentDescription(each)]);
    parts.push("", table(["argument", ""], rows));
  }
  for (const [heading, options] of optionGroups(command)) {
    const title = heading === "Options:" ? "option" : heading.replace(/:$/, "").toLowerCase();
    const rows = options.map((each) => [`\`${each.flags}\``, help.optionDescription(each)]);
    parts.push("", table([title, ""], rows));
  }
  return parts.join("\n");
}

/** Visible options by the heading of --help, both in its order; --help itself is left out. */
function optionGroups(command: Command): Map<string, Option[]> {
  const groups = new Map<string, Option[]>();
  for (const option of help.visibleOptions(command)) {
    if (option.long === "--help") continue;
    const heading = option.helpGroupHeading ?? "Options:";
    groups.set(heading, [...(groups.get(heading) ?? []), option]);
  }
  return groups;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

const COMMON = `## Preprocessing

A wrong pixel range changes nearly every prediction without a word, so preprocessing belongs to the model. Teachable Machine's \`metadata.json\` beside
model.json is read; what \`qdg train\` used is in its model.json. Otherwise \`--preprocess\` is required where images are used: \`0,1\`, \`-1,1\`, \`0,255\`, or
JSON (the text or a file) such as

\`\`\`json
{ "range": [0, 1], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "resize": "center-crop" }
\`\`\`

A pixel becomes \`(low + (high - low) * byte / 255 - mean) / std\`. The exported file holds it, and every command takes it from there.

## Output and exit codes

Data goes to stdout (\`--json\`, the lines of \`run\`, the report of \`parity\`, \`inspect\`, the demo), everything else to stderr. Files are written to a temporary
name and renamed: an interrupted run leaves nothing half-written.

| code     |                                                                     |
| -------- | ------------------------------------------------------------------- |
| 0        | done                                                                |
| 1        | an error in the input or the run; one line says what and the remedy |
| 2        | wrong usage                                                         |
| 3        | parity outside tolerance, or a certificate that does not pass       |
| 70       | a bug of qdg                                                        |
| 130, 143 | stopped by Ctrl-C or SIGTERM                                        |
`;

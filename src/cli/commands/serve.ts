// `qdg serve`: a deployed site on this machine, with the headers that its host will send.

import { Command } from "commander";
import { QdgError } from "../../base/error.js";
import { interruptible } from "../interruption.js";
import { tell, type Terminal } from "../terminal.js";

const DEFAULT_PORT = 8080;
const MOST_PORT = 65_535;

export function serveCommand(terminal: Terminal = process): Command {
  return new Command("serve")
    .description("serve a deployed site on 127.0.0.1, with its headers, until Ctrl-C")
    .argument("<folder>", "what qdg deploy wrote")
    .option("--port <n>", `port to listen on; 0 takes any free one (default: ${DEFAULT_PORT})`, portNumber)
    .action(async (folder: string, { port = DEFAULT_PORT }: { port?: number }) => {
      const { serveSite } = await import("../../deploy/static-server.js");
      const server = await serveSite(folder, port);
      terminal.stdout.write(`${server.url}\n`);
      tell(terminal.stderr, `serving ${folder}; Ctrl-C stops\n`);
      await interruptible(
        (signal) => new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
        () => tell(terminal.stderr, "stopped\n"),
      );
      await server.close();
    });
}

function portNumber(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= MOST_PORT) return port;
  throw new QdgError("usage", "--port", `got "${text}", expected a whole number from 0 to ${MOST_PORT}`);
}

// The engine on ARM, emulated: there relaxed SIMD takes bytes for signed, and the engine takes 128 from each before it
// multiplies. Every quantized element of the files that parity-haswell.mjs leaves must be the reference's, and the class of the
// machine must be seen to be that one, or this check would prove nothing. Needs qemu-aarch64 (Debian: qemu-user), and a Node for
// ARM with the libraries that it links to.
//
//   node scripts/parity-arm.mjs PATH/OF/NODE

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ONE_PROCESS } from "../dist/cli/supervise.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = join(root, "out", "haswell");
const [node = ""] = process.argv.slice(2);

const files = readdirSync(folder).filter((name) => name.endsWith(".onnx"));
if (files.length === 0) fail(`no .onnx files in ${folder}; run scripts/parity-haswell.mjs first`);
for (const file of files) {
  const args = [
    "parity",
    join(folder, file),
    "--data",
    "random:5",
    "--targets",
    "engine",
    "--intermediates",
    "--json",
  ];
  const { error, status, stdout, stderr } = spawnSync(
    "qemu-aarch64",
    ["-cpu", "max", node, join(root, "dist", "cli", "main.js"), ...args],
    // A second process of the command would run on this machine, not on the emulated one.
    { encoding: "utf8", maxBuffer: 2 ** 28, env: { ...process.env, [ONE_PROCESS]: "1" } },
  );
  if (error) fail(`qemu-aarch64 cannot be run (${error.message}); Debian: apt-get install qemu-user`);
  if (!stdout.trim()) fail(`${file}: exit code ${status}\n${stderr}`);
  const [target] = JSON.parse(stdout).targets;
  const mismatches = target.tensors.map((tensor) => tensor.mismatches);
  const count = mismatches.reduce((sum, each) => sum + each.count, 0);
  const total = mismatches.reduce((sum, each) => sum + each.total, 0);
  say(`${file}, ${target.version}: ${count} of ${total} quantized elements differ`);
  if (!target.version.endsWith("relaxed SIMD signed"))
    fail(`got "${target.version}", expected relaxed SIMD signed`);
  if (count > 0 || total === 0) fail("the engine on ARM does not compute what the reference computes");
}
say("PASSED: the engine computes the integers of the reference on ARM");

function fail(why) {
  say(`FAILED: ${why}`);
  process.exit(1);
}

function say(text) {
  process.stdout.write(`${text}\n`);
}

// Installs tfjs-node, TensorFlow's own CPU kernels behind tfjs, into node_modules. Training is many times
// faster with it; nothing else needs it, so it is no dependency of the package. The addon is built
// here because its ready-made binaries are for TensorFlow 2.9 and come from outside the package registries.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const TFJS_NODE = "4.22.0";
const TENSORFLOW = "2.21.0";
const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"];

/** The folder whose node_modules is meant: the project's, or the argument. */
const root = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), ".."));
const packageFolder = join(root, "node_modules", "@tensorflow", "tfjs-node");

async function main() {
  checkPlatform();
  if (await works()) return say(`tfjs-node ${TFJS_NODE} works already; nothing to do`);
  for (const [command, remedy] of [
    ["python3", "install Python 3 with pip"],
    ["make", "install make (Debian: build-essential)"],
    ["g++", "install a C++ compiler (Debian: build-essential)"],
  ]) {
    checkCommand(command, remedy);
  }
  installPackage();
  installLibraries();
  buildAddon();
  if (!(await works())) throw new Error(`built, but it does not load; remove ${packageFolder} and try again`);
  say(`tfjs-node ${TFJS_NODE} with TensorFlow ${TENSORFLOW} is ready in ${packageFolder}`);
}

/** The wheel that holds libtensorflow is built for one platform. */
function checkPlatform() {
  const major = Number(process.versions.node.split(".")[0]);
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error(
      `got ${process.platform} ${process.arch}, expected linux x64; training runs without it, slower`,
    );
  }
  if (major < 20 || major >= 24) throw new Error(`got Node ${process.versions.node}, expected 20 to 23`);
}

function checkCommand(command, remedy) {
  try {
    execFileSync(command, ["--version"], { stdio: "ignore" });
  } catch {
    throw new Error(`${command} cannot be run; ${remedy}`);
  }
}

/** --no-save keeps package.json as it is, --ignore-scripts leaves out the package's own download. */
function installPackage() {
  say(`installing @tensorflow/tfjs-node ${TFJS_NODE}`);
  run(
    "npm",
    [
      "install",
      "--no-save",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      `@tensorflow/tfjs-node@${TFJS_NODE}`,
    ],
    root,
  );
}

/** libtensorflow and its headers, out of the Python package (270 MB to fetch, 860 MB unpacked). */
function installLibraries() {
  const lib = join(packageFolder, "deps", "lib");
  const link = join(lib, "libtensorflow.so");
  if (existsSync(link) && LIBRARIES.every((name) => existsSync(join(lib, name)))) return;
  const temporary = mkdtempSync(join(tmpdir(), "setup-tensorflow-"));
  try {
    say(`fetching TensorFlow ${TENSORFLOW}`);
    run("python3", ["-m", "pip", ...pipArguments(temporary)], root);
    const wheel = readdirSync(temporary).find((name) => name.endsWith(".whl"));
    if (wheel === undefined) throw new Error(`pip left no wheel of tensorflow-cpu ${TENSORFLOW}`);
    say("unpacking");
    run("python3", ["-c", UNPACK, join(temporary, wheel), join(packageFolder, "deps")], root);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  // The linker looks for libtensorflow.so and libtensorflow_framework.so; the loader for the names inside.
  for (const [name, target] of [
    ["libtensorflow.so", LIBRARIES[0]],
    ["libtensorflow_framework.so", LIBRARIES[1]],
  ]) {
    rmSync(join(lib, name), { force: true });
    symlinkSync(target, join(lib, name));
  }
}

/** Any Python will do: the platform and version of the wheel are named, and it is only unpacked. */
function pipArguments(folder) {
  return [
    "download",
    "--no-deps",
    "--only-binary=:all:",
    "--platform=manylinux_2_27_x86_64",
    "--python-version=3.11",
    "--disable-pip-version-check",
    "--quiet",
    `--dest=${folder}`,
    `tensorflow-cpu==${TENSORFLOW}`,
  ];
}

const UNPACK = `
import os, shutil, sys, zipfile
wheel, deps = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name in (${LIBRARIES.map((name) => `"tensorflow/${name}"`).join(", ")}):
            target = os.path.join(deps, "lib", os.path.basename(name))
        elif name.startswith("tensorflow/include/") and name.endswith((".h", ".inc")):
            target = os.path.join(deps, "include", name[len("tensorflow/include/"):])
        else:
            continue
        if not os.path.abspath(target).startswith(os.path.abspath(deps) + os.sep):
            sys.exit("a path leaves the folder: " + name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with archive.open(name) as source, open(target, "wb") as out:
            shutil.copyfileobj(source, out)
`;

function buildAddon() {
  say("building the addon");
  const builder = join(root, "node_modules", "@mapbox", "node-pre-gyp", "bin", "node-pre-gyp");
  run(process.execPath, [builder, "install", "--build-from-source"], packageFolder, {
    npm_config_node_gyp: nodeGyp(),
    ...nodeHeaders(),
  });
}

/** The node-gyp that npm brings along. */
function nodeGyp() {
  const npm = process.env.npm_execpath;
  const candidates = [
    npm === undefined ? "" : join(dirname(npm), "..", "node_modules", "node-gyp", "bin", "node-gyp.js"),
    join(globalModules(), "npm", "node_modules", "node-gyp", "bin", "node-gyp.js"),
    join(root, "node_modules", "node-gyp", "bin", "node-gyp.js"),
    "/usr/share/nodejs/node-gyp/bin/node-gyp.js",
  ];
  const found = candidates.find((path) => path !== "" && existsSync(path));
  if (found === undefined) throw new Error("node-gyp not found; npm install --no-save node-gyp, then again");
  return found;
}

function globalModules() {
  return execFileSync("npm", ["root", "--global"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();
}

/** Node's headers, where they lie beside Node; otherwise node-gyp fetches them. */
function nodeHeaders() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, "include", "node", "node_api.h")) ? { npm_config_nodedir: prefix } : {};
}

/** In a process of its own, since a broken addon can take the process down. */
async function works() {
  if (!existsSync(packageFolder)) return false;
  const entry = pathToFileURL(join(packageFolder, "dist", "index.js")).href;
  const program = `import(${JSON.stringify(entry)}).then((m) => {
    const tf = m.default ?? m;
    process.exit(tf.getBackend() === "tensorflow" && tf.scalar(2).add(3).dataSync()[0] === 5 ? 0 : 1);
  }, () => process.exit(1));`;
  try {
    execFileSync(process.execPath, ["--input-type=module", "-e", program], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** The output of a command is shown only when it fails. */
function run(command, args, cwd, environment = {}) {
  try {
    execFileSync(command, args, {
      cwd,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: 1 << 26,
    });
  } catch (error) {
    const output = `${error.stdout ?? ""}${error.stderr ?? ""}`.trim().split("\n").slice(-15).join("\n");
    throw new Error(`${command} ${args[0]} failed\n${output}`, { cause: error });
  }
}

function say(text) {
  process.stderr.write(`${text}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`setup-tensorflow: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

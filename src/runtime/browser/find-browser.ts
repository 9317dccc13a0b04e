// Where a Chromium, Chrome or Edge is: the one that was named, else the usual places of the system, else PATH.
// It looks and never starts or installs anything.

import { accessSync, constants, statSync } from "node:fs";
import { posix, win32 } from "node:path";
import { QdgError } from "../../base/error.js";

export interface FoundBrowser {
  readonly path: string;
  /** What messages call it. */
  readonly product: "Chromium" | "Google Chrome" | "Microsoft Edge";
}

/** What the search sees of the machine, so that a test can make one up. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  isProgram(path: string): boolean;
}

type Product = FoundBrowser["product"];

const LINUX_PROGRAMS: readonly (readonly [Product, readonly string[]])[] = [
  ["Chromium", ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/snap/bin/chromium"]],
  ["Google Chrome", ["/usr/bin/google-chrome-stable", "/usr/bin/google-chrome", "/opt/google/chrome/chrome"]],
  [
    "Microsoft Edge",
    ["/usr/bin/microsoft-edge-stable", "/usr/bin/microsoft-edge", "/opt/microsoft/msedge/msedge"],
  ],
];

const MAC_PROGRAMS: readonly (readonly [Product, string])[] = [
  ["Chromium", "Applications/Chromium.app/Contents/MacOS/Chromium"],
  ["Google Chrome", "Applications/Google Chrome.app/Contents/MacOS/Google Chrome"],
  ["Microsoft Edge", "Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge"],
];

const WINDOWS_PROGRAMS: readonly (readonly [Product, string])[] = [
  ["Chromium", "Chromium\\Application\\chrome.exe"],
  ["Google Chrome", "Google\\Chrome\\Application\\chrome.exe"],
  ["Microsoft Edge", "Microsoft\\Edge\\Application\\msedge.exe"],
];

const NAMES_IN_PATH: readonly (readonly [Product, readonly string[]])[] = [
  ["Chromium", ["chromium", "chromium-browser"]],
  ["Google Chrome", ["google-chrome-stable", "google-chrome", "chrome"]],
  ["Microsoft Edge", ["microsoft-edge-stable", "microsoft-edge", "msedge"]],
];

const thisMachine: Machine = {
  platform: process.platform,
  env: process.env,
  isProgram(path) {
    try {
      accessSync(path, constants.X_OK);
      return statSync(path).isFile();
    } catch {
      return false;
    }
  },
};

/**
 * The browser named by `named`, else by the environment's `QDG_BROWSER` (a path, or a name in PATH), else
 * Chromium, Chrome or Edge, in this order, where the system keeps them, else in PATH. null when there is none.
 *
 * @throws QdgError `not-found` when the one that was named is no program
 */
export function findBrowser(named: string | undefined, machine: Machine = thisMachine): FoundBrowser | null {
  const fromEnvironment = machine.env["QDG_BROWSER"];
  if (named !== undefined) return namedBrowser(named, "--browser", machine);
  if (fromEnvironment !== undefined && fromEnvironment !== "") {
    return namedBrowser(fromEnvironment, "QDG_BROWSER", machine);
  }
  for (const [product, path] of usualPlaces(machine)) {
    if (machine.isProgram(path)) return { path, product };
  }
  for (const [product, names] of NAMES_IN_PATH) {
    for (const name of names) {
      const path = inPath(name, machine);
      if (path !== null) return { path, product };
    }
  }
  return null;
}

function namedBrowser(named: string, where: string, machine: Machine): FoundBrowser {
  const isName = !/[\\/]/.test(named);
  const path = isName ? inPath(named, machine) : machine.isProgram(named) ? named : null;
  if (path === null) {
    throw new QdgError(
      "not-found",
      where,
      `got "${named}", expected the program of Chromium, Chrome or Edge${isName ? ", by path or by a name in PATH" : ""}`,
    );
  }
  const file = path.toLowerCase();
  const product = /edge/.test(file)
    ? "Microsoft Edge"
    : /google|(?<!chromium.*)chrome/.test(file)
      ? "Google Chrome"
      : "Chromium";
  return { path, product };
}

function usualPlaces({ platform, env }: Machine): (readonly [Product, string])[] {
  if (platform === "darwin") {
    const roots = ["/", ...(env["HOME"] === undefined ? [] : [env["HOME"]])];
    return MAC_PROGRAMS.flatMap(([product, path]) =>
      roots.map((root) => [product, posix.join(root, path)] as const),
    );
  }
  if (platform === "win32") {
    const roots = ["PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"].flatMap((name) => env[name] ?? []);
    return WINDOWS_PROGRAMS.flatMap(([product, path]) =>
      roots.map((root) => [product, win32.join(root, path)] as const),
    );
  }
  return LINUX_PROGRAMS.flatMap(([product, paths]) => paths.map((path) => [product, path] as const));
}

function inPath(name: string, machine: Machine): string | null {
  const windows = machine.platform === "win32";
  const paths = windows ? win32 : posix;
  const file = windows && !name.toLowerCase().endsWith(".exe") ? `${name}.exe` : name;
  for (const folder of (machine.env["PATH"] ?? machine.env["Path"] ?? "").split(paths.delimiter)) {
    if (folder === "") continue;
    const path = paths.join(folder, file);
    if (machine.isProgram(path)) return path;
  }
  return null;
}

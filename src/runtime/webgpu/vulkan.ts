// Finds Vulkan for ONNX Runtime's WebGPU on Linux: its loader (libvulkan.so.1) and a driver. Where the system has
// none, Chromium brings both, with a driver that computes on the CPU. Never hides a driver that the user named.

import { existsSync, readdirSync } from "node:fs";
import { constants, homedir } from "node:os";
import { dirname, join } from "node:path";
import { errorText } from "../../base/error.js";

/** One way to a WebGPU adapter. */
export interface AdapterChoice {
  readonly description: string;
  /** For VK_ICD_FILENAMES; null leaves the environment as it is. */
  readonly driver: string | null;
  /** The folder of a libvulkan.so.1 to take where the system has none. */
  readonly loaderFolder: string | null;
}

const SYSTEM: AdapterChoice = { description: "the system's driver", driver: null, loaderFolder: null };

/** Where Vulkan's loader looks for drivers. */
const DRIVER_FOLDERS = [
  "/etc/vulkan/icd.d",
  "/usr/share/vulkan/icd.d",
  "/usr/local/etc/vulkan/icd.d",
  "/usr/local/share/vulkan/icd.d",
  join(homedir(), ".local/share/vulkan/icd.d"),
];

/** Where browsers keep SwiftShader. */
const BROWSER_FOLDERS = [
  "/usr/lib/chromium",
  "/usr/lib64/chromium",
  "/usr/lib/chromium-browser",
  "/usr/lib64/chromium-browser",
  "/snap/chromium/current/usr/lib/chromium-browser",
  "/opt/google/chrome",
  "/opt/microsoft/msedge",
];

const SWIFTSHADER = "vk_swiftshader_icd.json";

/**
 * The ways to try, in this order: what VK_ICD_FILENAMES or VK_DRIVER_FILES name, else the system's drivers where
 * it has some, then SwiftShader of an installed browser. Other systems than Linux bring their own graphics.
 */
export function adapterChoices(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
  browserFolders: readonly string[] = BROWSER_FOLDERS,
  driverFolders: readonly string[] = DRIVER_FOLDERS,
): AdapterChoice[] {
  if (platform !== "linux") return [SYSTEM];
  const named = environment["VK_ICD_FILENAMES"] || environment["VK_DRIVER_FILES"];
  if (named) return [{ description: named, driver: null, loaderFolder: loaderBeside(named) }];
  const choices: AdapterChoice[] = driverFolders.some(holdsDrivers) ? [SYSTEM] : [];
  const folder = browserFolders.find((each) => existsSync(join(each, SWIFTSHADER)));
  if (folder !== undefined) {
    const driver = join(folder, SWIFTSHADER);
    choices.push({ description: `software adapter ${driver}`, driver, loaderFolder: loaderBeside(driver) });
  }
  return choices;
}

/** Readies this process: must come before its first WebGPU session, which looks for Vulkan once and for all. */
export function takeAdapter({ driver, loaderFolder }: AdapterChoice): void {
  if (driver !== null) process.env["VK_ICD_FILENAMES"] = driver;
  if (loaderFolder === null || canLoad("libvulkan.so.1")) return;
  canLoad(join(loaderFolder, "libvulkan.so.1"));
}

/** RTLD_NODELETE of Linux: keeps a library in memory when its handle is closed. Node does not name it. */
const KEEP_LOADED = 0x1000;

/**
 * Loads a library for good, so that one who asks for its name later is given it. Node takes it for an addon, finds
 * that it is none, throws and closes the handle.
 */
function canLoad(library: string): boolean {
  try {
    process.dlopen({ exports: {} }, library, constants.dlopen.RTLD_NOW | KEEP_LOADED);
    return true;
  } catch (thrown) {
    return errorText(thrown).includes("did not self-register");
  }
}

function loaderBeside(driver: string): string | null {
  const folder = dirname(driver.split(":")[0] ?? "");
  return existsSync(join(folder, "libvulkan.so.1")) ? folder : null;
}

function holdsDrivers(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => name.endsWith(".json"));
  } catch {
    return false;
  }
}

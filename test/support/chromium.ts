// Starts the system's Chromium for tests: nothing is downloaded. Tests that need it have the options BROWSER of needs.ts.

import { type Browser, chromium } from "playwright-core";
import { findBrowser } from "../../src/runtime/browser/find-browser.js";

const QUIET = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const SOFTWARE_GPU = [
  "--enable-unsafe-webgpu",
  "--enable-features=Vulkan",
  "--use-webgpu-adapter=swiftshader",
];

/** A camera that shows a made-up picture, and a visitor who allows it. */
const CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];

/** A headless browser; with `gpu`, WebGPU on the software adapter, and without it no WebGPU. */
export function startChromium({
  gpu,
  camera = false,
}: {
  readonly gpu: boolean;
  readonly camera?: boolean;
}): Promise<Browser> {
  const found = findBrowser(undefined);
  if (!found)
    throw new Error("no Chromium, Chrome or Edge here: install one, or set QDG_BROWSER to its program");
  const args = gpu ? [...QUIET, ...SOFTWARE_GPU] : [...QUIET, "--disable-features=WebGPU,WebGPUService"];
  return chromium.launch({ executablePath: found.path, args: camera ? [...args, ...CAMERA] : args });
}

// `qdg/web` as a bundler makes it for a page: without the names and comments of the package's modules, which would count
// as memory.

import { join } from "node:path";
import { build } from "vite";
import { PACKAGE_FOLDER } from "./environment.js";

/** Writes web/web.js and its chunks into the folder of a site. ONNX Runtime stays what the page's import map says. */
export async function bundleWeb(site: string): Promise<void> {
  await build({
    root: PACKAGE_FOLDER,
    configFile: false,
    logLevel: "silent",
    publicDir: false,
    build: {
      outDir: join(site, "web"),
      emptyOutDir: true,
      target: "es2023",
      minify: true,
      lib: { entry: join(PACKAGE_FOLDER, "dist", "web.js"), formats: ["es"], fileName: () => "web.js" },
      rolldownOptions: { external: [/^onnxruntime-web/] },
    },
  });
}

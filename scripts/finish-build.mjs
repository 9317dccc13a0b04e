// What tsc leaves undone: makes the commands executable, and removes outputs whose source is gone, so that
// a package never carries a file that the source no longer has.

import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(root, "dist");

for (const entry of readdirSync(dist, { recursive: true })) {
  const source = join(root, "src", entry.replace(/(\.d\.ts|\.js)$/, ".ts"));
  if (/\.(d\.ts|js)$/.test(entry) && !existsSync(source)) rmSync(join(dist, entry));
}

const { bin } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
for (const path of Object.values(bin)) chmodSync(join(root, path), 0o755);

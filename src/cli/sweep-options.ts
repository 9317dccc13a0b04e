// Options that `qdg sweep` and `qdg work` share.

import { QdgError } from "../base/error.js";

/** Where Redis is, for those who do not want a password in the list of processes. */
export const REDIS_VARIABLE = "QDG_REDIS";

/** Jobs have a checkpoint to write, and a worker one to hand over, when they are asked to end. */
export const GRACE_MS = 60_000;

/** @throws QdgError `usage` where it is said nowhere */
export function redisUrl(given: string | undefined): string {
  const url = given ?? process.env[REDIS_VARIABLE];
  if (url !== undefined && url !== "") return url;
  throw new QdgError(
    "usage",
    "--redis",
    `got nothing, expected where Redis is, as redis://host:6379, or ${REDIS_VARIABLE} in the environment`,
  );
}

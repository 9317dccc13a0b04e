// The way to Redis and to BullMQ, which are loaded here. While Redis is not there commands wait; that it is away is said
// once, that it is back too. What waiting does not mend (a wrong password) ends the work.

import type { Redis } from "ioredis";
import { errorText, QdgError } from "../../base/error.js";
import { VERSION } from "../../base/version.js";
import { deferred } from "./deferred.js";
import { redisAddress } from "./redis-address.js";

export type Bullmq = typeof import("bullmq");

export interface Connection {
  readonly bullmq: Bullmq;
  readonly redis: Redis;
  /** For messages: no password in it. */
  readonly shown: string;
  /**
   * The result of `work`, or what makes it pointless.
   *
   * @throws QdgError `unavailable` where Redis refuses; `interrupted` once the signal is aborted, also while Redis is away
   */
  within<T>(work: Promise<T>, signal?: AbortSignal): Promise<T>;
  isAway(): boolean;
  close(): void;
}

/** Of keys that BullMQ writes. */
export const PREFIX = "qdg";
const DEFAULT_QUEUE = "qdg";
/** Between two tries to reach Redis. */
const MOST_WAIT_MS = 2000;

/** The queue of BullMQ: workers of another version of qdg never see its jobs. @throws QdgError `usage` */
export function queueName(name: string = DEFAULT_QUEUE): string {
  if (/^[\w.-]{1,60}$/.test(name)) return `${name}@${VERSION}`;
  throw new QdgError("usage", "--queue", `got "${name}", expected letters, digits, dots and dashes`);
}

/**
 * Does not wait until Redis answers.
 *
 * @param onNote told when it is away, and when it is back
 * @throws QdgError `usage` for the URL; `unavailable` without BullMQ
 */
export async function connect(url: string, onNote: (note: string) => void): Promise<Connection> {
  const { shown, isEncrypted, ...address } = redisAddress(url);
  const { bullmq, Client } = await load();
  const redis = new Client({
    ...address,
    ...(isEncrypted && { tls: {} }),
    maxRetriesPerRequest: null,
    retryStrategy: (tries: number) => Math.min(100 * tries, MOST_WAIT_MS),
  });
  const clients = withCopies(redis);
  let isAway = false;
  const { promise: refused, reject: refuse } = deferred<never>();
  refused.catch(() => undefined);
  redis.on("error", (thrown: Error) => {
    const why = reasonOf(thrown);
    if (/^(WRONGPASS|NOAUTH|NOPERM|ERR)\b/.test(thrown.message)) {
      refuse(new QdgError("unavailable", shown, `${why}; look at the URL of --redis`));
      redis.disconnect();
    } else if (!isAway) {
      isAway = true;
      onNote(`${shown} cannot be reached (${why}); waits, and goes on by itself once it is there`);
    }
  });
  // A server that closes gives no error, only an end.
  redis.on("reconnecting", () => {
    if (isAway) return;
    isAway = true;
    onNote(`${shown} has closed the connection; waits, and goes on by itself once it is back`);
  });
  redis.on("ready", () => {
    if (isAway) onNote(`${shown} is there; goes on`);
    isAway = false;
  });
  return {
    bullmq,
    redis,
    shown,
    within: (work, signal) => raced(work, refused, signal),
    isAway: () => isAway,
    close: () => {
      for (const client of clients) client.disconnect();
    },
  };
}

/** BullMQ makes itself another connection of this one; a process ends when all are closed. */
function withCopies(redis: Redis): readonly Redis[] {
  const clients = [redis];
  const duplicate = redis.duplicate.bind(redis);
  redis.duplicate = (...options) => {
    const copy = duplicate(...options);
    clients.push(copy);
    return copy;
  };
  return clients;
}

function raced<T>(work: Promise<T>, refused: Promise<never>, signal?: AbortSignal): Promise<T> {
  if (!signal) return Promise.race([work, refused]);
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new QdgError("interrupted", "redis", "stopped while it was waited for"));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    Promise.race([work, refused])
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", stop));
  });
}

/** Both are optional dependencies: who needs them asks for them. */
async function load(): Promise<{ readonly bullmq: Bullmq; readonly Client: typeof Redis }> {
  try {
    const [bullmq, { Redis: Client }] = await Promise.all([import("bullmq"), import("ioredis")]);
    return { bullmq, Client };
  } catch (thrown) {
    throw new QdgError(
      "unavailable",
      "bullmq",
      `cannot be loaded (${errorText(thrown)}); install it with: npm install bullmq ioredis`,
      { cause: thrown },
    );
  }
}

function reasonOf(thrown: Error): string {
  const { code, errors } = thrown as NodeJS.ErrnoException & { readonly errors?: readonly Error[] };
  // Where a name has several addresses, one error stands for all of them.
  const first = errors?.[0];
  if (first) return reasonOf(first);
  if (thrown.message.startsWith("NOAUTH")) return "asks for a password";
  if (thrown.message.startsWith("WRONGPASS")) return "refuses this name and password";
  if (code === "ECONNREFUSED") return "nothing listens there";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "there is no host of that name";
  return errorText(thrown);
}

/** Whether an error says that Redis is away, which the connection itself tells. */
export function isOfConnection(thrown: Error): boolean {
  const { code, errors } = thrown as NodeJS.ErrnoException & { readonly errors?: readonly Error[] };
  if (errors !== undefined && errors.length > 0) return errors.every(isOfConnection);
  return (
    /^(ECONN|ENOTFOUND|EAI_|EPIPE|ETIMEDOUT|EHOST|ENET)/.test(code ?? "") ||
    /Connection is closed|ECONN|connect ETIMEDOUT|LOADING|WRONGPASS|NOAUTH/.test(thrown.message)
  );
}

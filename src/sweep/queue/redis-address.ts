// Where Redis is, from its URL. A password in it goes to Redis and nowhere else: what people are shown has none.

import { QdgError } from "../../base/error.js";

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username?: string;
  readonly password?: string;
  readonly isEncrypted: boolean;
  /** `redis://host:6379/0`, without name and password. */
  readonly shown: string;
}

/** @throws QdgError `usage`; the message does not repeat what it got, in which a password may be */
export function redisAddress(url: string): RedisAddress {
  if (!/^rediss?:\/\//i.test(url))
    throw wrong("got something that does not begin with redis:// or rediss://");
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw wrong("got something that is no URL");
  }
  const { protocol, hostname, port, username, password, pathname, search } = parsed;
  if (hostname === "" || search !== "" || !/^(\/\d{0,3})?$/.test(pathname))
    throw wrong("got a URL of another form");
  const isEncrypted = protocol.toLowerCase() === "rediss:";
  const db = Number(pathname.slice(1));
  const at = `${hostname}:${port === "" ? 6379 : port}`;
  return {
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? 6379 : Number(port),
    db,
    ...(username !== "" && { username: decoded(username) }),
    ...(password !== "" && { password: decoded(password) }),
    isEncrypted,
    shown: `${isEncrypted ? "rediss" : "redis"}://${at}${db === 0 ? "" : `/${db}`}`,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong("got a name or password whose % escapes are wrong");
  }
}

function wrong(why: string): QdgError {
  return new QdgError(
    "usage",
    "--redis",
    `${why}, expected redis://host:6379 or rediss://user:password@host:6379/0`,
  );
}

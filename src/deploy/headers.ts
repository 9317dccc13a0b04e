// The HTTP headers of a deployed site, and the `_headers` file that hosts (Netlify, Cloudflare Pages) and
// `qdg serve` read them from. A header stands in one rule of a path only: hosts join repeated ones with a comma.

import { QdgError } from "../base/error.js";

/** Its name in the folder of a site. */
export const HEADERS_FILE = "_headers";

/** Headers for one path; `/*` is every path. */
export interface HeaderRule {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * What the page may do: load from its own origin alone, run no inline script, compile WebAssembly. `blob:` images
 * are the visitor's own files, shown before they are classified.
 */
export const CONTENT_SECURITY_POLICY: string = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const EVERYWHERE: Readonly<Record<string, string>> = {
  // Both together make a page cross-origin isolated, without which there is one thread.
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Content-Security-Policy": CONTENT_SECURITY_POLICY,
  "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

const FOREVER = { "Cache-Control": "public, max-age=31536000, immutable" };
const ASK_EACH_TIME = { "Cache-Control": "no-cache" };

/**
 * Rules of a site: security everywhere, a year's caching for files whose name holds their hash, and the others
 * asked for each time. Paths are written out, since hosts differ in what their patterns mean.
 *
 * @param hashed paths within the site, without a leading slash
 */
export function siteHeaders(hashed: readonly string[], unhashed: readonly string[]): HeaderRule[] {
  return [
    { path: "/*", headers: EVERYWHERE },
    { path: "/", headers: ASK_EACH_TIME },
    ...unhashed.map((file) => ({ path: `/${file}`, headers: ASK_EACH_TIME })),
    ...hashed.map((file) => ({ path: `/${file}`, headers: FOREVER })),
  ];
}

/** The text of a `_headers` file. parseHeaders of it gives the same rules. */
export function formatHeaders(rules: readonly HeaderRule[]): string {
  return rules
    .map(({ path, headers }) =>
      [path, ...Object.entries(headers).map(([name, value]) => `  ${name}: ${value}`), ""].join("\n"),
    )
    .join("\n");
}

/**
 * Reads a `_headers` file: a path on a line of its own, its headers on indented lines; `#` begins a comment.
 *
 * @throws QdgError `invalid-data` for a line that is neither, and for a `*` elsewhere than at a path's end
 */
export function parseHeaders(text: string, where: string): HeaderRule[] {
  const rules: { path: string; headers: Record<string, string> }[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.trimStart().startsWith("#")) continue;
    const fail = (expected: string): never => {
      throw new QdgError("invalid-data", `${where} line ${index + 1}`, `got "${line}", expected ${expected}`);
    };
    if (!/^\s/.test(line)) {
      const path = line.trim();
      if (!/^\/[^*\s]*\*?$/.test(path)) fail("a path such as /* or /index.html");
      rules.push({ path, headers: {} });
      continue;
    }
    const [, name, value] = /^\s+([A-Za-z0-9-]+):\s*([\x20-\x7e]+)$/.exec(line) ?? [];
    const rule = rules.at(-1);
    if (name === undefined || value === undefined || !rule) return fail('a header, "  Name: value"');
    rule.headers[name] = value.trim();
  }
  return rules;
}

/** The headers of one request path, of all rules that match. */
export function headersOf(rules: readonly HeaderRule[], path: string): Record<string, string> {
  return Object.assign({}, ...rules.filter((rule) => matches(rule.path, path)).map((rule) => rule.headers));
}

function matches(rule: string, path: string): boolean {
  return rule.endsWith("*") ? path.startsWith(rule.slice(0, -1)) : rule === path;
}

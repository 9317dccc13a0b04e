// The manifest of this page's own version, and what its address asks for.

import { type LoadOptions, type Manifest, parseManifest } from "../src/web.js";

/** load() fetches the same small file; where that went well, this does or never will. */
const MANIFEST_LIMIT_MS = 30_000;

/** `qdg deploy` puts the hash into the name. */
export const MANIFEST_URL: string = new URL(
  document.querySelector<HTMLMetaElement>('meta[name="qdg-manifest"]')?.content ?? "./manifest.json",
  document.baseURI,
).href;

export async function readManifest(): Promise<Manifest> {
  const response = await fetch(MANIFEST_URL, { signal: AbortSignal.timeout(MANIFEST_LIMIT_MS) });
  if (!response.ok)
    throw new Error(`${MANIFEST_URL}: got status ${response.status}, expected the model's manifest`);
  return parseManifest(await response.text(), MANIFEST_URL);
}

/** `?device=wasm`, `?engine=qdg`, `?threads=2`: what is none of these is not heeded. */
export function askedFor(): Pick<LoadOptions, "device" | "engine" | "threads"> {
  const asked = new URLSearchParams(location.search);
  const device = (["wasm", "webgpu"] as const).find((each) => each === asked.get("device"));
  const engine = (["qdg", "onnxruntime"] as const).find((each) => each === asked.get("engine"));
  const threads = Number(/^\d{1,2}$/.exec(asked.get("threads") ?? "")?.[0]);
  return { ...(device && { device }), ...(engine && { engine }), ...(threads && { threads }) };
}

// placeholder

import type { EngineContext, EngineResult } from "../engines/engine.js";

export async function coordinate(_: EngineContext): Promise<EngineResult> {
  throw new Error("not yet");
}

import { readFileSync, existsSync, readdirSync, writeFileSync } from "node:fs"; import { dirname, join } from "node:path"; import { expect, test } from "vitest";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js"; import { modelToGraph } from "../../src/onnx/to-graph.js"; import { verifyModel } from "../../src/onnx/verify.js"; import { verifyGraph } from "../../src/graph/verify.js"; import { printGraph } from "../../src/graph/print.js";
import { QdgError } from "../../src/base/error.js";
test("w", () => { const files = (readFileSync("/tmp/onnxfiles.txt","utf8")).trim().split("\n"); const tally: Record<string, number> = {}; const say: string[] = [];
 const add=(k: string, m: string)=>{tally[k]=(tally[k]??0)+1; say.push(k+" "+m);};
 for (const f of files) { let m; try { const b = readFileSync(f); m = decodeModel(b, f); const e = encodeModel(m); expect(decodeModel(e)).toEqual(m); if (Buffer.compare(b, e)===0) add("identical",f); else add(b.length===e.length?"samesize":"differ",f+` ${b.length} ${e.length}`); } catch (t) { add(t instanceof QdgError ? "dec-err":"CRASH", f+" "+String(t)); continue; }
  try { verifyModel(m, { unknown: "accept" }); add("verify-ok", f); } catch (t) { add(t instanceof QdgError ? "verify-err":"CRASH", f+" "+String(t)); }
  try { const g = modelToGraph(m, { folder: dirname(f) }); verifyGraph(g); printGraph(g); add("raise-ok", f); try { verifyModel(m); add("strict-ok",f);} catch (t) {add(t instanceof QdgError ? "strict-err":"CRASH", f+" "+String(t));} } catch (t) { add(t instanceof QdgError ? "raise-err":"CRASH", f+" "+String(t)+(t instanceof QdgError?"":(t as Error).stack)); }
 } console.log(tally); writeFileSync("/tmp/say.txt", say.join("\n")); }, 600000);

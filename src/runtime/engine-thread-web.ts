// A thread of the engine on a page: what a worker runs, from the message that its page sends first.

import { serve, type ThreadTask } from "../engine/team.js";

interface Scope {
  addEventListener(type: "message", listener: (event: { readonly data: ThreadTask }) => void): void;
  postMessage(message: unknown): void;
  close(): void;
}

const scope = globalThis as unknown as Scope;
scope.addEventListener("message", ({ data }) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has none
  const served = serve(data, () => scope.postMessage("ready")).catch((thrown: unknown) => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has none
    scope.postMessage(String(thrown));
  });
  void served.then(() => scope.close());
});

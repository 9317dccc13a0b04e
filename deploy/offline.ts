// The page's side of offline use: registers the service worker, has it keep the files of the device in use, and
// offers a new version. Never reloads the page unasked: a drawing would be lost.

import { facts, showFact, textOf } from "./view.js";

/**
 * Starts the worker; it takes part only once the page has loaded, so that it never slows the first result.
 *
 * @param role the runtime in use, whose files are kept
 */
export async function keepOffline(role: string): Promise<void> {
  if (!("serviceWorker" in navigator)) {
    showFact(facts.offline, "not possible: this browser has no service workers here");
    return;
  }
  try {
    const registration = await navigator.serviceWorker.register("./sw.js", { updateViaCache: "none" });
    offerUpdate(registration);
    const { active } = await navigator.serviceWorker.ready;
    if (!active) return;
    const kept = await ask(active, { keep: role });
    if (kept.kept) showFact(facts.offline, "ready: works without a network", "good");
    else showFact(facts.offline, `not possible: ${kept.reason ?? "the files could not be kept"}`);
  } catch (thrown) {
    showFact(facts.offline, `not possible: ${textOf(thrown)}`);
  }
}

interface Kept {
  readonly kept: boolean;
  readonly reason?: string;
}

function ask(worker: ServiceWorker, message: unknown): Promise<Kept> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.addEventListener("message", (event: MessageEvent<Kept>) => resolve(event.data), { once: true });
    port1.start();
    worker.postMessage(message, [port2]);
  });
}

/** A newer version waits until the visitor changes to it, which loads the page again. */
function offerUpdate(registration: ServiceWorkerRegistration): void {
  const offer = (): void => {
    const { waiting } = registration;
    // Without an active one the waiting worker is the first, and no update.
    if (!waiting || !registration.active) return;
    const use = (): void => {
      waiting.addEventListener("statechange", () => {
        if (waiting.state === "activated") location.reload();
      });
      waiting.postMessage({ activate: true }, []);
    };
    facts.update.hidden = false;
    facts.update.addEventListener("click", use, { once: true });
  };
  offer();
  registration.addEventListener("updatefound", () => {
    registration.installing?.addEventListener("statechange", offer);
  });
}

// The page's side of offline use: registers the service worker, has it keep the files of the device in use, and
// offers a new version. Never reloads the page unasked: a drawing would be lost.

export interface OfflineView {
  /** @param ready whether the next visit works without a network */
  state(text: string, ready: boolean): void;
  /** A newer version waits; `use` changes to it and loads the page again. */
  update(use: () => void): void;
}

/** Starts the worker; it takes part only once the page has loaded, so that it never slows the first result. */
export async function keepOffline(device: string, view: OfflineView): Promise<void> {
  if (!("serviceWorker" in navigator)) {
    view.state("not possible: this browser has no service workers here", false);
    return;
  }
  try {
    const registration = await navigator.serviceWorker.register("./sw.js", { updateViaCache: "none" });
    offerUpdate(registration, view);
    const { active } = await navigator.serviceWorker.ready;
    if (!active) return;
    const kept = await ask(active, { keep: device });
    if (kept.kept) view.state("ready: works without a network", true);
    else view.state(`not possible: ${kept.reason ?? "the files could not be kept"}`, false);
  } catch (thrown) {
    view.state(`not possible: ${thrown instanceof Error ? thrown.message : String(thrown)}`, false);
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

function offerUpdate(registration: ServiceWorkerRegistration, view: OfflineView): void {
  const offer = (): void => {
    const { waiting } = registration;
    // Without an active one the waiting worker is the first, and no update.
    if (!waiting || !registration.active) return;
    view.update(() => {
      waiting.addEventListener("statechange", () => {
        if (waiting.state === "activated") location.reload();
      });
      waiting.postMessage({ activate: true }, []);
    });
  };
  offer();
  registration.addEventListener("updatefound", () => {
    registration.installing?.addEventListener("statechange", offer);
  });
}

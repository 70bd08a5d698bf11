/** Lets the browser keep the page itself, so that it opens without a network. */
export function keepForOffline(): void {
  // Where pages may not have service workers, as over plain HTTP to another machine, the page works as it did.
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
  navigator.serviceWorker.register("./sw.js").catch((error: unknown) => {
    console.warn("the page will not open without a network:", error);
  });
}

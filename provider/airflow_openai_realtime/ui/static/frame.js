// The page is shown in a frame of Airflow's UI, and follows it: its theme, its address, its links. It also works alone.

/** The window of Airflow's UI; null when the page is shown alone, or elsewhere. */
function airflow() {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null;
  }
}

/** Where Airflow is; the page is one step below. */
const ROOT = new URL("../", new URL(".", window.location.href));

/** Take over the theme of Airflow's UI, now and whenever it changes; alone, the browser's own is used. */
export function followTheme() {
  const frame = airflow();
  if (frame === null) return;
  const theirs = frame.document.documentElement;
  const take = () => {
    const theme = theirs.classList.contains("dark") ? "dark" : theirs.classList.contains("light") ? "light" : null;
    if (theme === null) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  };
  take();
  new MutationObserver(take).observe(theirs, { attributes: true, attributeFilter: ["class"] });
}

/**
 * Keep the address of Airflow's UI and the state of its history entry. When a frame has loaded, Airflow replaces both since
 * 3.3.2: it appends the frame's path to its own, /plugin/openai-realtime-calls, and drops what keepListPlace has kept.
 * Source: pull request 72196 of apache/airflow, airflow-core/src/airflow/ui/src/hooks/useIframeUrlSync.ts.
 */
export function keepAddress() {
  const stop = (loaded) => loaded.stopImmediatePropagation();
  window.frameElement?.addEventListener("load", stop, { capture: true, once: true });
}

/**
 * Begin at the place that the address of Airflow's UI names, when this page's own names none, and follow that address
 * when a user edits it, or goes back after a reload: then the browser moves only Airflow's window back.
 */
export function takeOverPlace() {
  const frame = airflow();
  if (frame === null) return;
  const follow = () => {
    const [theirs, ours] = [frame, window].map(({ location }) => (location.hash.startsWith("#/") ? location.hash : "#/"));
    if (theirs !== ours) window.location.replace(theirs);
  };
  if (window.location.hash === "") follow();
  frame.addEventListener("hashchange", follow);
  window.addEventListener("pagehide", () => frame.removeEventListener("hashchange", follow));
}

/** Let the address of Airflow's UI name the place that is shown: it survives a reload, and can be sent to others. */
export function tellPlace() {
  const frame = airflow();
  if (frame === null || frame.location.hash === window.location.hash) return;
  const address = new URL(frame.location.href);
  address.hash = window.location.hash;
  frame.history.replaceState(frame.history.state, "", address);
}

/**
 * Keep how the list is shown with this entry of the browser's history, for who comes back to it from another page.
 * @param {{top: number, rows: number}} place
 */
export function keepListPlace(place) {
  const { history } = airflow() ?? window;
  history.replaceState({ ...history.state, callsListPlace: place }, "");
}

/** What was kept for this entry of the history; null on the first visit. */
export function keptListPlace() {
  return (airflow() ?? window).history.state?.callsListPlace ?? null;
}

/** A link to a page of Airflow's UI. */
export function airflowAddress(...parts) {
  return new URL(parts.map(encodeURIComponent).join("/"), ROOT).href;
}

/**
 * Let a link lead Airflow's UI to another of its pages. The frame may not do that by itself, so it asks the UI's router.
 * @param {MouseEvent} event
 */
export function leaveTo(event) {
  const frame = airflow();
  if (frame === null || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  frame.history.pushState({}, "", event.currentTarget.href);
  frame.dispatchEvent(new frame.PopStateEvent("popstate", { state: frame.history.state }));
}

/** Load Airflow's UI anew; without a login it leads to the login page. */
export function reload() {
  (airflow() ?? window).location.reload();
}


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

/** What to show first: the place that the address of Airflow's UI names, when this page's own names none. */
export function takeOverPlace() {
  const theirs = airflow()?.location.hash ?? "";
  if (window.location.hash === "" && theirs.startsWith("#/")) window.location.replace(theirs);
}

/** A link to a page of Airflow's UI. */
export function airflowAddress(...parts) {
  return new URL(parts.map(encodeURIComponent).join("/"), ROOT).href;
}

/**
 * Let a link lead Airflow's UI to another of its pages. The frame may not do that by itself, so its router is told.
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


// The page: polls the server while it is visible, and shows the list of calls or one call.

import { announce, arrange, el } from "./dom.js";
import { followTheme, keepAddress, reload, takeOverPlace, tellPlace } from "./frame.js";
import { CallList } from "./call_list.js";
import { CallView } from "./call_view.js";
import { callWords } from "./words.js";

const EVERY_MS = 3000;
const LONGEST_PAUSE_MS = 30000;
const KNOWN_FOR_MS = 10000; // how long what the server said last may be counted on
const LONGEST_ANSWER_MS = 20000;
const main = document.getElementById("main");

let view = null;
let timer = null;
let asking = null; // the request under way
let failures = 0;
let lastAnswer = null; // when the server answered last, by this clock, in milliseconds
let aheadMs = 0; // how far the server's clock is ahead of this one

/** Now, by the server's clock, in milliseconds. It stands still while the server does not answer: nothing is known. */
const now = () => Math.min(Date.now(), (lastAnswer ?? Date.now()) + KNOWN_FOR_MS) + aheadMs;

/** Ask the server. @throws {Error} with a message that can be shown */
async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, credentials: "same-origin", redirect: "error" });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Error("Airflow does not answer. The page tries again.");
  }
  const body = await answer.json().catch(() => null);
  if (answer.ok && body !== null) {
    if (body.now) aheadMs = Date.parse(body.now) - Date.now();
    return body;
  }
  const problem = new Error(body?.error ?? body?.detail ?? `Airflow answered ${answer.status}.`);
  problem.status = answer.status;
  throw problem;
}

function showNotes(notes) {
  const list = document.getElementById("notes");
  const texts = notes.map((note) => note.text);
  if (JSON.stringify(texts) === list.dataset.shown) return;
  list.dataset.shown = JSON.stringify(texts);
  arrange(list, notes.map((note) => el("li", {}, note.text, note.button)));
  if (texts.length) announce(texts.join(" "));
}

function noteOf(problem) {
  if (problem.status !== 401) return { text: problem.message };
  return { text: "Your login has ended. ", button: el("button", { class: "button", onclick: reload }, "Log in") };
}

/** Ask for what is shown, show it, and come back later: only while the page can be seen. */
async function refresh() {
  clearTimeout(timer);
  asking?.abort();
  asking = null;
  if (document.hidden) return;
  const mine = (asking = new AbortController());
  const shown = view;
  const tooLate = setTimeout(() => mine.abort(new Error("Airflow does not answer. The page tries again.")), LONGEST_ANSWER_MS);
  try {
    const body = await ask(shown.question(), { signal: mine.signal });
    if (mine !== asking) return;
    failures = 0;
    lastAnswer = Date.now();
    shown.show(body, now);
    showNotes((body.notes ?? []).map((text) => ({ text })));
  } catch (problem) {
    if (mine !== asking) return;
    failures += 1;
    shown.failed(problem);
    showNotes([noteOf(problem)]);
  } finally {
    clearTimeout(tooLate);
  }
  timer = setTimeout(refresh, Math.min(EVERY_MS * 2 ** failures, LONGEST_PAUSE_MS));
}

const MOST_MESSAGES = 5;

/**
 * Show the result of something that the user did; it stays until it is dismissed or replaced by the next one about the same.
 * @param {string} about what it is about
 * @param {string} text
 * @param {"busy"|"done"|"failed"} kind
 */
function say(about, text, kind) {
  const list = document.getElementById("messages");
  const old = [...list.children].find((item) => item.dataset.about === about);
  const dismiss = () => {
    item.remove();
    main.focus({ preventScroll: true });
  };
  const button = el("button", { type: "button", class: "button", "aria-label": `Dismiss: ${text}`, onclick: dismiss }, "Dismiss");
  const item = el("li", { class: `message message-${kind}`, "data-about": about }, el("span", {}, text), kind === "busy" ? null : button);
  if (old) old.replaceWith(item);
  else list.append(item);
  while (list.children.length > MOST_MESSAGES) list.firstElementChild.remove();
  announce(text);
}

/** Ask whether to hang up, and do it. */
function hangUp(call) {
  const dialog = document.getElementById("confirm");
  const words = callWords(call);
  document.getElementById("confirm-text").textContent = `${words.replace(/^t/, "T")} ends at once.`;
  const yes = document.getElementById("confirm-yes");
  document.getElementById("confirm-no").onclick = () => dialog.close();
  yes.onclick = async () => {
    dialog.close();
    const about = JSON.stringify([call.conn_id, call.call_id]);
    say(about, `Hanging up ${words}…`, "busy");
    try {
      const { gone } = await ask("api/hang-up", {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-OpenAI-Realtime-Calls": "1" },
        body: JSON.stringify({ conn_id: call.conn_id, call_id: call.call_id }),
      });
      say(about, gone ? `${words} was over already.`.replace(/^t/, "T") : `Hung up ${words}.`, "done");
    } catch (problem) {
      say(about, `${words} is not hung up: ${noteOf(problem).text}`.replace(/^t/, "T"), "failed");
    }
    await refresh();
  };
  dialog.showModal();
  document.getElementById("confirm-no").focus();
}

let list = null; // kept while one call is shown, so that its rows, its filter and its height are there again
let cameFrom = null; // the call that was opened from the list

/**
 * What an address names: one call (#/connection/call), an attempt (#/attempt/connection/id), a task that waits for its
 * call (#/task/connection/claimant), or the list (#/?q=filter).
 */
function placeOf(hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").map(decoded);
  if (parts.length === 3 && parts[0] === "attempt") return { conn_id: parts[1], attempt_id: parts[2] };
  if (parts.length === 3 && parts[0] === "task") return { conn_id: parts[1], claimant: parts[2] };
  if (parts.length === 2 && parts[0] && parts[1]) return { conn_id: parts[0], call_id: parts[1] };
  return { filter: new URLSearchParams(query ?? "").get("q") ?? "" };
}

const addressOfList = (filter) => (filter === "" ? "#/" : `#/?${new URLSearchParams({ q: filter })}`);

/** Let the address name the filter, without a step in the history for each letter. */
function noteFilter(filter) {
  window.history.replaceState(window.history.state, "", addressOfList(filter));
  tellPlace();
}

/** Show what the address names. */
function go() {
  const place = placeOf(window.location.hash);
  const isFirst = view === null;
  if (place.filter === undefined) {
    cameFrom = window.location.hash;
    view = new CallView(place, hangUp, addressOfList(list?.filter.value ?? ""));
  } else {
    list ??= new CallList(ask, hangUp, now, noteFilter);
    list.filterBy(place.filter);
    view = list;
  }
  main.replaceChildren(view.element);
  document.title = view.title;
  tellPlace();
  if (view === list) comeBackToList();
  else if (!isFirst) {
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  failures = 0;
  refresh();
}

/** The list as it was left: the same height, and the focus on the call that was opened. */
function comeBackToList() {
  const opened = cameFrom && main.querySelector(`a[data-part="open"][href="${CSS.escape(cameFrom)}"]`);
  window.scrollTo(0, list.top);
  opened?.focus({ preventScroll: true });
  cameFrom = null;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

followTheme();
keepAddress();
takeOverPlace();
window.addEventListener("hashchange", go);
window.addEventListener("scroll", () => view === list && list.scrolled(window.scrollY), { passive: true });
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
setInterval(() => document.hidden || view?.tick?.(now()), 1000);
go();

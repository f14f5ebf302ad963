// The page: asks the server while somebody looks, and shows the list of calls or one call.

import { announce, arrange, el } from "./dom.js";
import { followTheme, reload, takeOverPlace } from "./frame.js";
import { CallList } from "./call_list.js";
import { CallView } from "./call_view.js";
import { callerOf } from "./words.js";

const EVERY_MS = 3000;
const LONGEST_PAUSE_MS = 30000;
const main = document.getElementById("main");

let view = null;
let timer = null;
let asking = null; // the request under way
let failures = 0;
let aheadMs = 0; // how far the server's clock is ahead of this one

/** Now, by the server's clock, in milliseconds. */
const now = () => Date.now() + aheadMs;

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
  if (document.hidden) return;
  const mine = (asking = new AbortController());
  const shown = view;
  try {
    const body = await ask(shown.question(), { signal: mine.signal });
    if (mine.signal.aborted) return;
    failures = 0;
    shown.show(body, now);
    showNotes((body.notes ?? []).map((text) => ({ text })));
  } catch (problem) {
    if (mine.signal.aborted) return;
    failures += 1;
    shown.failed(problem);
    showNotes([noteOf(problem)]);
  }
  timer = setTimeout(refresh, Math.min(EVERY_MS * 2 ** failures, LONGEST_PAUSE_MS));
}

/** Ask whether to hang up, and do it. */
function hangUp(call) {
  const dialog = document.getElementById("confirm");
  document.getElementById("confirm-text").textContent = `The call from ${callerOf(call)} ends at once.`;
  const yes = document.getElementById("confirm-yes");
  document.getElementById("confirm-no").onclick = () => dialog.close();
  yes.onclick = async () => {
    dialog.close();
    announce("Hanging up…");
    try {
      const { gone } = await ask("api/hang-up", {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-OpenAI-Realtime-Calls": "1" },
        body: JSON.stringify({ conn_id: call.conn_id, call_id: call.call_id }),
      });
      announce(gone ? "The call was over already." : "The call is hung up.");
      await refresh();
    } catch (problem) {
      showNotes([noteOf(problem)]);
    }
  };
  dialog.showModal();
  document.getElementById("confirm-no").focus();
}

/** Show what the address names: one call (#/connection/call), or the list. */
function go() {
  const [conn_id, call_id] = window.location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  const wanted = conn_id && call_id ? new CallView(conn_id, call_id, hangUp) : new CallList(ask, hangUp, now);
  const isFirst = view === null;
  view = wanted;
  main.replaceChildren(view.element);
  document.title = view.title;
  if (!isFirst) main.focus({ preventScroll: false });
  failures = 0;
  refresh();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

followTheme();
takeOverPlace();
window.addEventListener("hashchange", go);
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
setInterval(() => document.hidden || view?.tick?.(now()), 1000);
go();

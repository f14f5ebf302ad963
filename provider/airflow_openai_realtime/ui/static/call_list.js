// The list: live calls, and the latest that are over, with attempts that did not become a call among them.

import { announce, arrange, bdi, el, setText } from "./dom.js";
import { airflowAddress, keepListPlace, keptListPlace, leaveTo } from "./frame.js";
import {
  callWords, callerOf, campaignWords, directionOf, duration, endWords, instant, outcomeOf, silenceWords, stateClass,
  stateOf, talked, waited,
} from "./words.js";

const MOST_KEPT = 1000;
const NOTHING = "–";
const COLUMNS = ["Time", "Way", "From", "To", "Line", "State", "Waited", "Talked", "Outcome", "DAG run", "Hang up"];

/** What tells rows apart. An attempt that becomes a call gets another row, and its own one goes. */
const keyOf = (call) => JSON.stringify([call.conn_id, call.call_id ?? { attempt: call.attempt_id }]);

/** Where a row is shown on its own. */
export function addressOf(call) {
  const parts = call.call_id === null ? ["attempt", call.conn_id, call.attempt_id] : [call.conn_id, call.call_id];
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

/** What a filter looks at: all that can be read in a row. */
function textOf(call) {
  const { from, to, contact, conn_id, task, order } = call;
  const told = [callerOf(call), from, to, contact, conn_id, campaignWords(call), directionOf(call), stateOf(call)];
  return [...told, outcomeOf(call), endWords(call), task?.dag_id, task?.run_id, task?.task_id, order]
    .filter((part) => typeof part === "string").join(" ").toLowerCase();
}

/** A table of calls, whose rows are kept as long as their calls are there. */
class CallTable {
  constructor(title, hangUp) {
    this.hangUp = hangUp;
    this.rows = new Map();
    this.count = el("span", { class: "count" });
    this.body = el("tbody", { role: "rowgroup" });
    const heads = COLUMNS.map((name) => el("th", { role: "columnheader", scope: "col", "data-name": name }, name));
    const id = `table-${title.toLowerCase()}`;
    this.table = el(
      "table", { class: "calls", role: "table", "aria-labelledby": id },
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads)), this.body,
    );
    this.empty = el("p", { class: "muted" });
    const heading = el("h2", { id }, `${title} calls `, this.count);
    this.element = el("section", { class: `calls-${title.toLowerCase()}` }, heading, this.empty, this.table);
  }

  /** Show those of the calls that the filter lets through. */
  show(all, isWanted, now, emptyText) {
    const calls = all.filter(isWanted);
    const count = calls.length === all.length ? String(all.length) : `${calls.length} of ${all.length}`;
    setText(this.count, all.length ? count : "");
    this.table.hidden = calls.length === 0;
    this.empty.hidden = calls.length > 0;
    setText(this.empty, all.length ? "No call matches the filter." : emptyText);
    const rows = new Map(calls.map((call) => [keyOf(call), this.rows.get(keyOf(call)) ?? new CallRow(this.hangUp)]));
    this.rows = rows;
    calls.forEach((call) => rows.get(keyOf(call)).show(call, now));
    arrange(this.body, [...rows.values()].map((row) => row.element));
  }

  tick(now) {
    for (const row of this.rows.values()) row.tick(now);
  }
}

/** One call of a table. */
class CallRow {
  constructor(hangUp) {
    this.hangUp = hangUp;
    this.shown = "";
    this.cells = Object.fromEntries(COLUMNS.map((name) => [name, el("td", { role: "cell", "data-name": name })]));
    this.element = el("tr", { role: "row" }, ...Object.values(this.cells));
  }

  show(call, now) {
    this.call = call;
    const text = JSON.stringify(call);
    if (text !== this.shown) {
      this.shown = text;
      this.fill(call);
    }
    this.tick(now);
  }

  fill(call) {
    const words = callWords(call);
    const name = `${instant(call.received_at)}, ${words}`;
    const had = this.element.contains(document.activeElement) ? document.activeElement.dataset.part : null;
    const at = el("time", { datetime: call.received_at, title: call.received_at }, instant(call.received_at));
    const run = call.task === null ? "" : el("small", {}, bdi(call.task.run_id));
    const contents = {
      Time: [el("a", { href: addressOf(call), "aria-label": name, "data-part": "open" }, at)],
      Way: [directionOf(call)],
      From: [call.call_id === null ? NOTHING : callerOf(call)],
      To: toOf(call),
      Line: [bdi(call.conn_id)],
      State: [el("span", { class: stateClass(call), title: silenceWords(call) }, stateOf(call))],
      Outcome: outcomeParts(call),
      "DAG run": [ownerOf(call), run],
      "Hang up": [call.may_hang_up ? hangUpButton(this.hangUp, call) : ""],
    };
    for (const [column, parts] of Object.entries(contents)) {
      this.cells[column].replaceChildren(...parts);
      this.cells[column].toggleAttribute("data-nothing", this.cells[column].textContent === NOTHING);
    }
    if (had !== null) this.element.querySelector(`[data-part="${had}"]`)?.focus();
  }

  tick(now) {
    const talking = talked(this.call, now);
    setText(this.cells.Waited, duration(waited(this.call, now)));
    setText(this.cells.Talked, talking === null ? NOTHING : duration(talking));
    this.cells.Talked.toggleAttribute("data-nothing", talking === null);
  }
}

/** The number that was called; of a placed call also whose it is, and for what campaign. */
function toOf(call) {
  const contact = call.contact === null ? "" : el("small", {}, bdi(call.contact));
  const campaign = call.campaign === null ? "" : el("small", {}, bdi(call.campaign), ` · attempt ${call.attempt}`);
  return [call.to ?? NOTHING, contact, campaign];
}

/** How a call ended, and who ended it. */
function outcomeParts(call) {
  const outcome = outcomeOf(call);
  const by = endWords(call);
  return [outcome === null ? NOTHING : outcome, by === "" ? "" : el("small", { dir: "auto" }, by)];
}

/** Whose call it is: a link to the DAG run, or the name of the standing order. */
export function ownerOf(call) {
  if (call.task !== null) {
    const { dag_id, run_id } = call.task;
    const href = airflowAddress("dags", dag_id, "runs", run_id);
    return el("a", { href, target: "_top", onclick: leaveTo, "data-part": "run" }, bdi(dag_id));
  }
  return call.order === null ? document.createTextNode(NOTHING) : el("span", {}, "standing order ", bdi(call.order));
}

/** A button that hangs up, after asking. */
export function hangUpButton(hangUp, call) {
  const onclick = () => hangUp(call);
  const label = `Hang up ${callWords(call)}`;
  return el("button", { type: "button", class: "button danger", "aria-label": label, "data-part": "end", onclick }, "Hang up");
}

export class CallList {
  title = "Calls";

  /**
   * @param {function} ask asks the server
   * @param {function} hangUp hangs a call up, after asking
   * @param {function} now the time by the server's clock, in milliseconds
   * @param {function(string)} onFilter called with the filter when the user changes it
   */
  constructor(ask, hangUp, now, onFilter) {
    this.ask = ask;
    this.now = now;
    this.over = new Map(); // calls that are over, by key: also those that newer ones have pushed off the first page
    this.liveCalls = [];
    this.next = null;
    this.liveCount = null;
    this.top = 0;
    this.live = new CallTable("Live", hangUp);
    this.recent = new CallTable("Recent", hangUp);
    this.more = el("button", { type: "button", class: "button", hidden: true, onclick: () => this.older() }, "Older calls");
    const oninput = () => {
      onFilter(this.filter.value);
      this.showAll();
    };
    this.filter = el("input", { type: "search", id: "filter", class: "filter", autocomplete: "off", dir: "auto", oninput });
    const filter = el("p", { class: "filtering" }, el("label", { for: "filter" }, "Filter "), this.filter);
    const head = el("div", { class: "top" }, el("h1", {}, "Calls"), filter);
    this.element = el("div", {}, head, this.live.element, this.recent.element, this.more);
  }

  question() {
    return "api/calls";
  }

  /** Filter by what the address says. */
  filterBy(text) {
    if (this.filter.value === text) return;
    this.filter.value = text;
    if (this.liveCount !== null) this.showAll();
  }

  async show(body) {
    const isFirst = this.liveCount === null;
    this.keep(body.calls);
    // Where the page of older calls begins, until older ones have been asked for.
    if (!this.asksOlder) this.next = body.next;
    const live = body.calls.filter((call) => call.is_live);
    if (!isFirst && live.length !== this.liveCount) announce(`${live.length} live calls`);
    this.liveCount = live.length;
    this.liveCalls = live;
    this.showAll();
    if (isFirst) await this.comeBack(keptListPlace());
  }

  /** Show as much as before, at the same height, for who comes back from another page of Airflow. */
  async comeBack(place) {
    if (place === null) return;
    while (this.next !== null && this.over.size < Math.min(place.rows, MOST_KEPT)) {
      if (!(await this.older())) break;
    }
    this.top = place.top;
    if (this.element.isConnected) window.scrollTo(0, place.top);
  }

  /** Note how far the list is scrolled. */
  scrolled(top) {
    this.top = top;
    if (this.liveCount !== null) keepListPlace({ top, rows: this.over.size });
  }

  keep(calls) {
    for (const call of calls) {
      // The row of an attempt goes when the attempt has become a call.
      if (call.call_id !== null && call.attempt_id !== null) this.over.delete(keyOf({ ...call, call_id: null }));
      if (call.is_live) this.over.delete(keyOf(call));
      else this.over.set(keyOf(call), call);
    }
  }

  showAll() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const isWanted = (call) => {
      if (words.length === 0) return true;
      const text = textOf(call);
      return words.every((word) => text.includes(word));
    };
    const newestFirst = (one, other) => (one.received_at < other.received_at ? 1 : -1);
    const calls = [...this.over.values()].sort(newestFirst).slice(0, MOST_KEPT);
    this.over = new Map(calls.map((call) => [keyOf(call), call]));
    this.live.show([...this.liveCalls].sort(newestFirst), isWanted, this.now(), "No call is under way.");
    this.recent.show(calls, isWanted, this.now(), "No calls that you may see.");
    this.more.hidden = this.next === null || calls.length >= MOST_KEPT;
  }

  /** @returns {Promise<boolean>} whether older ones were loaded */
  async older() {
    this.more.disabled = true;
    try {
      const body = await this.ask(`api/calls?before=${encodeURIComponent(this.next)}`);
      this.asksOlder = true;
      this.next = body.next;
      this.keep(body.calls);
      this.showAll();
      announce(`${body.calls.length} older calls`);
      return true;
    } catch (problem) {
      announce(problem.message);
      return false;
    } finally {
      this.more.disabled = false;
    }
  }

  failed(problem) {
    if (this.liveCount === null) this.live.show([], () => true, this.now(), problem.message);
  }

  tick(now) {
    this.live.tick(now);
  }
}

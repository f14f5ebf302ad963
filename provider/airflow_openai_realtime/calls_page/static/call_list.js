// The list: live calls, and the latest that are over.

import { announce, arrange, el, setText } from "./dom.js";
import { airflowAddress, leaveTo } from "./frame.js";
import { callerOf, duration, instant, outcomeWords, stateWords, talked, waited } from "./words.js";

const MOST_KEPT = 1000;
const NOTHING = "–";
const COLUMNS = ["Time", "From", "To", "Line", "State", "Waited", "Talked", "Outcome", "DAG run", "Hang up"];

const keyOf = (call) => `${call.conn_id}/${call.call_id}`;

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

  show(calls, now, emptyText) {
    setText(this.count, calls.length ? String(calls.length) : "");
    this.table.hidden = calls.length === 0;
    this.empty.hidden = calls.length > 0;
    setText(this.empty, emptyText);
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
    this.cells = COLUMNS.map((name) => el("td", { role: "cell", "data-name": name }));
    this.element = el("tr", { role: "row" }, ...this.cells);
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
    const [time, from, to, line, state, , , outcome, dag, action] = this.cells;
    const address = `#/${encodeURIComponent(call.conn_id)}/${encodeURIComponent(call.call_id)}`;
    const name = `${instant(call.received_at)}, call from ${callerOf(call)}`;
    const had = this.element.contains(document.activeElement) ? document.activeElement.dataset.part : null;
    const at = el("time", { datetime: call.received_at, title: call.received_at }, instant(call.received_at));
    time.replaceChildren(el("a", { href: address, "aria-label": name, "data-part": "open" }, at));
    from.replaceChildren(callerOf(call));
    to.replaceChildren(call.to ?? NOTHING);
    line.replaceChildren(call.conn_id);
    state.replaceChildren(el("span", { class: `state state-${call.state}` }, stateWords(call.state)));
    outcome.replaceChildren(call.outcome === null ? NOTHING : outcomeWords(call.outcome));
    dag.replaceChildren(ownerOf(call), call.task === null ? "" : el("small", {}, call.task.run_id));
    action.replaceChildren(call.may_hang_up ? hangUpButton(this.hangUp, call) : "");
    for (const cell of this.cells) cell.toggleAttribute("data-nothing", cell.textContent === NOTHING);
    if (had !== null) this.element.querySelector(`[data-part="${had}"]`)?.focus();
  }

  tick(now) {
    const talking = talked(this.call, now);
    setText(this.cells[5], duration(waited(this.call, now)));
    setText(this.cells[6], talking === null ? NOTHING : duration(talking));
    this.cells[6].toggleAttribute("data-nothing", talking === null);
  }
}

/** Whose call it is: a link to the DAG run, or the name of the standing order. */
export function ownerOf(call) {
  if (call.task !== null) {
    const { dag_id, run_id } = call.task;
    const href = airflowAddress("dags", dag_id, "runs", run_id);
    return el("a", { href, target: "_top", onclick: leaveTo, "data-part": "run" }, dag_id);
  }
  return document.createTextNode(call.order === null ? NOTHING : `standing order ${call.order}`);
}

/** A button that hangs up, after asking. */
export function hangUpButton(hangUp, call) {
  const label = `Hang up the call from ${callerOf(call)}`;
  const onclick = () => hangUp(call);
  return el("button", { type: "button", class: "button danger", "aria-label": label, "data-part": "end", onclick }, "Hang up");
}

export class CallList {
  title = "Calls";

  constructor(ask, hangUp, now) {
    this.ask = ask;
    this.now = now;
    this.over = new Map(); // calls that are over, by key: also those that newer ones have pushed off the first page
    this.next = null;
    this.liveCount = null;
    this.live = new CallTable("Live", hangUp);
    this.recent = new CallTable("Recent", hangUp);
    this.more = el("button", { type: "button", class: "button", hidden: true, onclick: () => this.older() }, "Older calls");
    this.element = el("div", {}, el("h1", {}, "Calls"), this.live.element, this.recent.element, this.more);
  }

  question() {
    return "api/calls";
  }

  show(body) {
    this.keep(body.calls);
    // Where the page of older calls begins, until older ones have been asked for.
    if (!this.asksOlder) this.next = body.next;
    const live = body.calls.filter((call) => call.is_live);
    if (this.liveCount !== null && live.length !== this.liveCount) announce(`${live.length} live calls`);
    this.liveCount = live.length;
    this.live.show(live, this.now(), "No call is under way.");
    this.showOver();
  }

  keep(calls) {
    for (const call of calls) {
      if (call.is_live) this.over.delete(keyOf(call));
      else this.over.set(keyOf(call), call);
    }
  }

  showOver() {
    const newestFirst = (one, other) => (one.received_at < other.received_at ? 1 : -1);
    const calls = [...this.over.values()].sort(newestFirst).slice(0, MOST_KEPT);
    this.over = new Map(calls.map((call) => [keyOf(call), call]));
    this.recent.show(calls, this.now(), "No calls that you may see.");
    this.more.hidden = this.next === null || calls.length >= MOST_KEPT;
  }

  async older() {
    this.more.disabled = true;
    try {
      const body = await this.ask(`api/calls?before=${encodeURIComponent(this.next)}`);
      this.asksOlder = true;
      this.next = body.next;
      this.keep(body.calls);
      this.showOver();
      announce(`${body.calls.length} older calls`);
    } catch (problem) {
      announce(problem.message);
    } finally {
      this.more.disabled = false;
    }
  }

  failed(problem) {
    if (this.liveCount === null) this.live.show([], this.now(), problem.message);
  }

  tick(now) {
    this.live.tick(now);
  }
}

// One call: its facts, timeline, usage and result. Or an attempt that has not become a call.

import { announce, arrange, bdi, el, setText } from "./dom.js";
import { airflowAddress, leaveTo } from "./frame.js";
import { addressOf, hangUpButton, ownerOf } from "./call_list.js";
import { timelineItem } from "./timeline.js";
import {
  callWords, callerOf, directionOf, duration, endWords, instant, outcomeOf, silenceWords, stateClass, stateOf, talked,
  waited,
} from "./words.js";

export class CallView {
  /**
   * @param {{conn_id: string, call_id?: string, attempt_id?: string, claimant?: string}} named a call; or an attempt, or
   *   a task that waits for a call: these give way to the call as soon as there is one
   * @param {function} hangUp hangs a call up, after asking
   * @param {string} listAddress where the list is that one goes back to
   */
  constructor(named, hangUp, listAddress) {
    this.named = named;
    this.hangUp = hangUp;
    this.title = "Call";
    this.known = 0;
    this.state = null;
    this.facts = el("dl", { class: "facts" });
    this.action = el("div", { class: "buttons" });
    this.empty = el("p", { class: "muted" }, "Loading…");
    this.timeline = el("ol", { class: "timeline", "aria-labelledby": "timeline-title" });
    this.result = el("section", { class: "side", hidden: true });
    this.usage = el("section", { class: "side", hidden: true });
    this.heading = el("h1", {}, "Call");
    const talk = el("section", {}, el("h2", { id: "timeline-title" }, "Timeline"), this.empty, this.timeline);
    this.element = el(
      "article", {},
      el("p", { class: "back" }, el("a", { href: listAddress, "data-part": "back" }, "← All calls")),
      el("div", { class: "top" }, this.heading, this.action), this.facts,
      el("div", { class: "columns" }, talk, el("div", {}, this.result, this.usage)),
    );
  }

  question() {
    const { conn_id, call_id, attempt_id, claimant } = this.named;
    if (claimant !== undefined) return `api/claimed?${new URLSearchParams({ conn_id, claimant })}`;
    if (call_id === undefined) return `api/attempt?${new URLSearchParams({ conn_id, attempt_id })}`;
    return `api/call?${new URLSearchParams({ conn_id, call_id, known: String(this.known) })}`;
  }

  show(body, now) {
    if (body.call === null) {
      setText(this.empty, "This task has no call yet, or you may not see it.");
      return;
    }
    this.call = body.call;
    if (this.named.call_id === undefined && body.call.call_id !== null) {
      window.location.replace(addressOf(body.call));
      return;
    }
    setText(this.heading, callWords(body.call).replace(/^the c/, "C"));
    this.showFacts(body.call, now());
    const action = JSON.stringify([body.call.may_hang_up]);
    if (action !== this.shownAction) {
      this.shownAction = action;
      this.action.replaceChildren(...(body.call.may_hang_up ? [hangUpButton(this.hangUp, body.call)] : []));
    }
    const state = stateOf(body.call);
    if (this.state !== null && this.state !== state) announce(`The call is now: ${state}`);
    this.state = state;
    this.showConversation(body);
  }

  showFacts(call, now) {
    const time = (at) => at && el("time", { datetime: at, title: at }, instant(at));
    const facts = [
      ["State", el("span", { class: stateClass(call) }, stateOf(call))],
      ["Last heard", call.silent_since && silenceWords(call)],
      ["Outcome", outcomeOf(call)],
      ["Ended", endWords(call)],
      ["Reason", call.reason !== call.outcome && call.reason && bdi(call.reason)],
      ["Way", directionOf(call) === "out" ? "outgoing" : "incoming"],
      ["Contact", call.contact && bdi(call.contact)],
      ["From", call.call_id === null ? null : callerOf(call)],
      ["To", call.to],
      ["Campaign", call.campaign && bdi(call.campaign)],
      ["Attempt", call.attempt],
      ["Line", bdi(call.conn_id)],
      [call.call_id === null ? "Began" : "Came in", time(call.received_at)],
      ["Waited", duration(waited(call, now))],
      ["Talked", talked(call, now) === null ? null : duration(talked(call, now))],
      ["Ends at the latest", call.is_live && call.hangup_at ? instant(call.hangup_at) : null],
      ["Transfer to", call.target && bdi(call.target)],
      ["SIP status", call.status_code],
      ["DAG", call.task && ownerOf(call)],
      ["DAG run", call.task && bdi(call.task.run_id)],
      ["Task", call.task && taskLink(call.task)],
      ["Answered by", call.order && ownerOf(call)],
      ["Call id", call.call_id && el("code", {}, call.call_id)],
      ["Attempt id", call.call_id === null ? el("code", {}, call.attempt_id) : null],
    ].filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
    const shown = JSON.stringify(facts.map(([name, value]) => [name, value.textContent ?? value]));
    if (shown === this.shownFacts) return;
    this.shownFacts = shown;
    if (this.facts.contains(document.activeElement)) return this.retext(facts);
    this.facts.replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  /** Change texts only, so that a link that the user is about to follow stays in place. */
  retext(facts) {
    const texts = new Map(facts.map(([name, value]) => [name, value.textContent ?? String(value)]));
    for (const row of this.facts.children) {
      const text = texts.get(row.firstChild.textContent);
      if (text !== undefined && !row.lastChild.querySelector("a")) setText(row.lastChild, text);
    }
  }

  showConversation(body) {
    const conversation = body.conversation ?? null;
    if (conversation === null) {
      this.empty.hidden = false;
      setText(this.empty, whyNothing(body));
      return;
    }
    if (conversation.entries_from < this.known) this.timeline.replaceChildren();
    const begun = Date.parse(body.call.accepted_at ?? conversation.opened_at);
    this.timeline.append(...conversation.entries.map((entry) => timelineItem(entry, begun)).filter(Boolean));
    this.known = conversation.entries_from + conversation.entries.length;
    this.empty.hidden = this.timeline.children.length > 0;
    setText(this.empty, "Nothing has been said yet.");
    this.showResult(conversation);
    this.showUsage(conversation);
  }

  showResult(conversation) {
    const { result, result_valid } = conversation;
    this.result.hidden = result === null || result === undefined;
    if (this.result.hidden) return;
    const text = JSON.stringify(result, null, 2);
    if (this.result.dataset.shown === text) return;
    this.result.dataset.shown = text;
    const warning = result_valid === false && el("p", { class: "warning" }, "It does not fit the schema.");
    this.result.replaceChildren(el("h2", {}, "Result"), warning || "", el("pre", { tabindex: "0", class: "plain" }, text));
  }

  showUsage(conversation) {
    const used = Object.entries(conversation.usage ?? {}).filter(([, amount]) => amount);
    this.usage.hidden = used.length === 0;
    const text = JSON.stringify([used, conversation.cost]);
    if (this.usage.hidden || this.usage.dataset.shown === text) return;
    this.usage.dataset.shown = text;
    const rows = used.map(([name, amount]) =>
      el("div", {}, el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, Number(amount).toLocaleString())),
    );
    const cost = conversation.cost;
    const about = cost && el("p", {}, `About $${cost.usd.toFixed(4)} (${cost.model}, prices of ${cost.priced_on}).`);
    arrange(this.usage, [el("h2", {}, "Usage"), el("dl", { class: "usage" }, ...rows), about].filter(Boolean));
  }

  failed(problem) {
    if (this.call !== undefined) return;
    setText(this.empty, problem.status === 404 ? "There is no such call, or you may not see it." : problem.message);
  }

  tick(now) {
    if (this.call?.is_live) this.showFacts(this.call, now);
  }
}

function whyNothing(body) {
  if (body.call.call_id === null) return body.call.is_live ? "The call has not come in yet." : "The call never came in.";
  if (!body.may_read_transcript) return "You may not read what was said in this call.";
  if (body.call.is_live) return "No task listens to this call yet.";
  return "No task listened to this call, so there is no transcript.";
}

function taskLink(task) {
  const parts = ["dags", task.dag_id, "runs", task.run_id, "tasks", task.task_id];
  if (task.map_index >= 0) parts.push("mapped", String(task.map_index));
  const name = task.map_index >= 0 ? `${task.task_id} [${task.map_index}]` : task.task_id;
  return el("a", { href: airflowAddress(...parts), target: "_top", onclick: leaveTo }, bdi(name));
}

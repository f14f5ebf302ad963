// One entry of a call's timeline. Owners of any release write entries, so any part may be missing.

import { el } from "./dom.js";
import { duration, instant } from "./words.js";

const LONGEST = 4000;

const text = (value) => {
  const whole = typeof value === "string" ? value : JSON.stringify(value);
  return whole.length > LONGEST ? `${whole.slice(0, LONGEST)}…` : whole;
};

const missed = (body) => (body.gap_seconds ? `; no process listened for ${duration(body.gap_seconds)}` : "");

const NOTES = {
  greeted: () => "The agent was asked to greet.",
  attached: (body) => (body.gap_seconds ? `Listening again, after ${duration(body.gap_seconds)}.` : "Listening."),
  stood_by: (body) => `The switchboard listens, since the triggerer is silent${missed(body)}.`,
  opened_late: () => "The switchboard, which was away, knows the triggerer again.",
  stood_down: () => "The triggerer is back.",
  asked: (body) => [`Asked for ${body.name ?? "?"}, which the next triggerer runs: `, el("code", {}, text(body.arguments ?? ""))],
  interrupted: () => "The caller interrupted the agent.",
  ending: (body) => `Ending the call${body.reason ? ` (${text(body.reason)})` : ""}.`,
};

/** What each kind of entry says: [who, what]; null leaves it out. */
const KINDS = {
  caller: (body) => ["Caller", body.text ?? "(could not be transcribed)"],
  agent: (body) => ["Agent", body.text ?? ""],
  key: (body) => ["Key", body.key ?? "?"],
  tool_call: (body) => ["Tool", [body.name ?? "?", el("code", {}, text(body.arguments ?? ""))]],
  tool_result: (body) => ["Tool", [`${body.name ?? "?"}: ${body.status ?? "done"} `, resultOf(body)]],
  error: (body) => ["Error", [body.code, body.message].filter(Boolean).map(text).join(": ") || text(body)],
  note: (body) => ["Note", Object.hasOwn(NOTES, body.what) ? NOTES[body.what](body) : text(body)],
  usage: () => null,
};

function resultOf(body) {
  const output = body.output ?? body.target ?? body.value;
  return output === undefined || output === null ? "" : el("code", {}, text(output));
}

/**
 * An entry as an item of the list; null when there is nothing to show.
 * @param {{kind: string, at: string, body: Object}} entry
 * @param {number} begun when the call was accepted, in milliseconds
 */
export function timelineItem(entry, begun) {
  const told = Object.hasOwn(KINDS, entry.kind) ? KINDS[entry.kind](entry.body ?? {}) : [entry.kind, text(entry.body)];
  if (told === null) return null;
  const [who, what] = told;
  const parts = (Array.isArray(what) ? what : [text(what)]).flatMap((part) => [part, " "]);
  const after = duration((Date.parse(entry.at) - begun) / 1000);
  return el(
    "li", { class: `entry entry-${Object.hasOwn(KINDS, entry.kind) ? entry.kind : "note"}` },
    el("span", { class: "who" }, who),
    el("time", { datetime: entry.at, title: instant(entry.at) }, after),
    el("span", { class: "what plain", dir: "auto" }, ...parts),
  );
}

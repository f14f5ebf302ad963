// Words for times, states and outcomes.

const OUTCOMES = {
  completed: "completed",
  caller_hung_up: "caller hung up",
  max_duration: "time was over",
  silence: "silence",
  transfer_requested: "transferred",
  rejected: "declined",
  missed: "missed",
  no_answer: "no answer",
  gone: "caller gone",
  hung_up: "hung up",
  killed: "task killed",
  failed: "failed",
  accept_failed: "could not be answered",
  hang_up_failed: "could not be hung up",
};

/** Outcomes of attempts whose call never came in. */
const ATTEMPT_OUTCOMES = { canceled: "canceled", gone: "picked up, no call came in", timeout: "not known" };

/** How an outcome is called; an unknown one as it is, without underscores. */
export function outcomeWords(outcome) {
  return Object.hasOwn(OUTCOMES, outcome) ? OUTCOMES[outcome] : String(outcome).replaceAll("_", " ");
}

/** How the outcome of a row is called; null while there is none. */
export function outcomeOf(call) {
  if (call.outcome === null) return null;
  const isAttempt = call.call_id === null;
  if (isAttempt && Object.hasOwn(ATTEMPT_OUTCOMES, call.outcome)) return ATTEMPT_OUTCOMES[call.outcome];
  return outcomeWords(call.outcome);
}

const STATES = { ringing: "ringing", claimed: "being answered", accepted: "talking" };
const ATTEMPT_STATES = { reserved: "not dialed", dialing: "dialing", unknown: "may have rung", ended: "not reached" };

/** How the state of a row is called. */
export function stateOf(call) {
  if (call.call_id === null) {
    if (call.state === "placed") return call.is_live ? "phone rings" : "not known";
    if (call.state === "dialing" && !call.is_live) return "may have rung";
    return Object.hasOwn(ATTEMPT_STATES, call.state) ? ATTEMPT_STATES[call.state] : call.state;
  }
  if (call.silent_since !== null) return "not heard";
  return Object.hasOwn(STATES, call.state) ? STATES[call.state] : outcomeWords(call.state);
}

/** Which colours the state of a row has. */
export function stateClass(call) {
  if (call.call_id === null) return call.is_live ? "state state-ringing" : "state";
  return call.silent_since !== null ? "state state-silent" : `state state-${call.state}`;
}

const DIRECTIONS = { incoming: "in", outgoing: "out" };

/** Which way a call went. */
export function directionOf(call) {
  return DIRECTIONS[call.direction] ?? call.direction;
}

const PARTIES = { agent: "the agent", caller: "the caller", carrier: "the carrier", openai: "OpenAI", switchboard: "the switchboard" };

/** Who ended a call, and how; "" when that is not known. */
export function endWords(call) {
  const by = call.ended_by && (PARTIES[call.ended_by] ?? call.ended_by);
  return by ? `by ${by}` : "";
}

/** A duration: "42 s", "3:05", "1:02:07". */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** Seconds between two instants; the second may be left out for now by the server's clock. */
export function secondsBetween(from, to, now) {
  return ((to === null ? now : Date.parse(to)) - Date.parse(from)) / 1000;
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY_AND_TIME = new Intl.DateTimeFormat(undefined, {
  month: "short", day: "numeric", hour: "2-digit", minute: "2-digit",
});

/** An instant: of today its time, else with the day. */
export function instant(text) {
  const at = new Date(text);
  return at.toDateString() === new Date().toDateString() ? TIME.format(at) : DAY_AND_TIME.format(at);
}

/** The caller's number, as far as the page may show it. */
export function callerOf(call) {
  return call.from ?? "hidden number";
}

/** The person at the other end. */
export function personOf(call) {
  if (call.direction !== "outgoing") return callerOf(call);
  if (call.contact === null) return call.to ?? "a forgotten number";
  return call.to === null ? isolated(call.contact) : `${isolated(call.contact)} (${call.to})`;
}

/** A text that reads from right to left, marked so that it does not turn the words around it. */
function isolated(text) {
  return /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/.test(text) ? `\u2068${text}\u2069` : text;
}

/** A call in a few words: "the call from +1***0123", "the call to ann (+1***0123)". */
export function callWords(call) {
  return `the call ${call.direction === "outgoing" ? "to" : "from"} ${personOf(call)}`;
}

/** For what campaign a person was called; "" for other calls. */
export function campaignWords(call) {
  if (call.campaign === null) return "";
  return `${call.campaign} · attempt ${call.attempt}`;
}

/** How long a call rang, in seconds. */
export function waited(call, now) {
  return secondsBetween(call.received_at, call.waited_until, now);
}

/** How long a call was talked, in seconds; null when that is not known, or it was not accepted. */
export function talked(call, now) {
  if (call.accepted_at === null || !call.is_talk_known) return null;
  // What the carrier counted is known better than when the end was noticed here.
  if (typeof call.talk_seconds === "number") return call.talk_seconds;
  return secondsBetween(call.accepted_at, call.ended_at ?? call.silent_since, now);
}

/** That nothing is known of a live call any more; "" when it is. */
export function silenceWords(call) {
  return call.silent_since === null ? "" : `last sign of life ${instant(call.silent_since)}`;
}

// How times, states and outcomes are put into words.

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
  failed: "failed",
};

/** How an outcome is called; an unknown one as it is, without underscores. */
export function outcomeWords(outcome) {
  return Object.hasOwn(OUTCOMES, outcome) ? OUTCOMES[outcome] : String(outcome).replaceAll("_", " ");
}

const STATES = { ringing: "ringing", claimed: "being answered", accepted: "talking" };

/** How a state is called. */
export function stateWords(state) {
  return Object.hasOwn(STATES, state) ? STATES[state] : outcomeWords(state);
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

/** Who a call is from, as far as it is told. */
export function callerOf(call) {
  return call.from ?? "hidden number";
}

/** How long a call rang, in seconds; null when nobody knows. */
export function waited(call, now) {
  return secondsBetween(call.received_at, call.waited_until, now);
}

/** How long a call was talked, in seconds; null when it was not accepted. */
export function talked(call, now) {
  return call.accepted_at === null ? null : secondsBetween(call.accepted_at, call.ended_at, now);
}

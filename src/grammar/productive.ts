/**
 * Cuts away what can never come to an end, so that a text that is being made can always be completed.
 *
 * A state is productive if some way leads from it to the end of its callee; what leads elsewhere is removed.
 */
import type { State } from "./automaton.ts";

/** Removes edges to unproductive states. False when the start itself is unproductive. */
export function pruneUnproductive(states: State[], start: number): boolean {
  const productive = new Uint8Array(states.length);
  const before: number[][] = states.map(() => []);
  const work: number[] = [];
  for (const [from, { bytes, empty, calls, isEnd }] of states.entries()) {
    for (let i = 2; i < bytes.length; i += 3) before[bytes[i]].push(from);
    for (const to of empty) before[to].push(from);
    for (const call of calls) {
      before[call.start].push(from);
      before[call.next].push(from);
    }
    if (isEnd) {
      productive[from] = 1;
      work.push(from);
    }
  }
  for (let at = work.pop(); at !== undefined; at = work.pop())
    for (const from of before[at]) {
      if (productive[from] || !reachesProductive(states[from], productive)) continue;
      productive[from] = 1;
      work.push(from);
    }
  for (const state of states) {
    const bytes: number[] = [];
    for (let i = 0; i < state.bytes.length; i += 3)
      if (productive[state.bytes[i + 2]]) bytes.push(state.bytes[i], state.bytes[i + 1], state.bytes[i + 2]);
    state.bytes = bytes;
    state.empty = state.empty.filter((to) => productive[to]);
    state.calls = state.calls.filter((call) => productive[call.start] && productive[call.next]);
  }
  return productive[start] === 1;
}

function reachesProductive({ bytes, empty, calls }: State, productive: Uint8Array): boolean {
  for (let i = 2; i < bytes.length; i += 3) if (productive[bytes[i]]) return true;
  return (
    empty.some((to) => productive[to]) ||
    calls.some((call) => productive[call.start] && productive[call.next])
  );
}

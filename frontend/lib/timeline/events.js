/**
 * Judges event items (protocol §4): which epoch holds after one, who is in the chat, and in `server` chats whose keys
 * it announces. What `combined` chats add is in combined.js. Works on a draft of the judge's state.
 */

import { judgeCombined } from './combined.js';

/**
 * @typedef {import('./reduce.js').State} State
 * @typedef {import('./examine.js').EventFacts} EventFacts
 * @typedef {import('../crypto/chain.js').ChatEvent} ChatEvent
 */

const JOINS = ['create', 'add'];
const PARTS = ['remove', 'leave', 'ended'];
const OPENS = [...JOINS, ...PARTS, 'keys', 'rekey'];
const OPENS_COMBINED = ['create', 'add', 'remove', 'keys', 'retire', 'rekey'];

/**
 * @param {State} state a draft @param {EventFacts} facts
 * @returns {{reason: string|null, warnings: string[]}}
 */
export function judgeEventItem(state, facts) {
  const { event } = facts;
  if (!event) return { reason: 'malformed', warnings: [] };
  const warnings = state.combined
    ? inCombined(state, state.combined, facts, event)
    : inServer(state, facts, event);
  for (const warning of warnings) if (warning !== 'identity_reset') state.warnings.add(warning);
  return { reason: null, warnings };
}

/** @param {State} state a draft @param {EventFacts} facts @param {ChatEvent} event */
function inServer(state, facts, event) {
  const warnings = [];
  if (event.log !== '' || event.share !== '') warnings.push('mode_changed'); // `server` chats have neither
  if (event.kind === 'keys' && facts.announced === null) warnings.push('identity_reset'); // its bundle is withheld
  if (event.kind === 'keys' && facts.announced !== null) raiseFloor(state, event.by, facts.announced);
  const opens = OPENS.includes(event.kind);
  warnings.push(...moveEpoch(state, facts, event, opens));
  moveMembers(state, facts, event, opens);
  return warnings;
}

/** @param {State} state a draft @param {import('./combined.js').Combined} combined a draft @param {EventFacts} facts
 * @param {ChatEvent} event */
function inCombined(state, combined, facts, event) {
  const opens = OPENS_COMBINED.includes(event.kind);
  const warnings = moveEpoch(state, facts, event, opens);
  const named = judgeCombined(combined, facts, event, { opens, lineOf: state.context.lineOf });
  state.members = combined.members;
  // Whom the epoch was wrapped for must be whom the log names; of a refused entry that is said already.
  const { epochMembers } = facts;
  const differs = opens && named.length === 0 && epochMembers && !same(state.members, epochMembers);
  return [...warnings, ...named, ...(differs ? ['history_fork'] : [])];
}

/** @param {State} state a draft @param {EventFacts} facts @param {ChatEvent} event @param {boolean} opens @returns {string[]} */
function moveEpoch(state, { seq }, event, opens) {
  const current = state.epoch?.number ?? (seq === 1 ? 0 : null);
  const due = current === null ? event.epoch : current + (opens ? 1 : 0);
  if (opens) {
    state.epoch = { number: event.epoch, opened: seq };
    state.openings.set(event.epoch, seq);
  } else if (!state.epoch) {
    state.epoch = { number: event.epoch, opened: 1 };
  }
  if (event.epoch < due) return ['server_rollback'];
  return event.epoch > due ? ['history_fork'] : [];
}

/** @param {State} state a draft @param {EventFacts} facts @param {ChatEvent} event @param {boolean} opens */
function moveMembers(state, { epochMembers }, event, opens) {
  if (JOINS.includes(event.kind) && (state.members || event.kind === 'create')) {
    state.members = new Set([...(state.members ?? []), ...event.usernames]);
  }
  if (PARTS.includes(event.kind)) for (const username of event.usernames) state.members?.delete(username);
  if (!epochMembers || !opens) return;
  state.members ??= new Set(epochMembers);
  // What the event says and whom the epoch was wrapped for must be the same people.
  if (!same(state.members, epochMembers)) state.warnings.add('history_fork');
}

/** @param {Set<string>|null} members @param {readonly string[]} named */
export const same = (members, named) =>
  members !== null && members.size === named.length && named.every((name) => members.has(name));

/** From here on they sign with no older bundle. @param {State} state a draft @param {string} username @param {number} version */
export function raiseFloor(state, username, version) {
  state.floors.set(username, Math.max(version, state.floors.get(username) ?? 0));
}

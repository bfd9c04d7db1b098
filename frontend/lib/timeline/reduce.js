/**
 * The judge: items in gapless order of seq become verdicts, in the protocol's order of checks (§5). Pure and
 * synchronous; a state is never changed, a new one is made. Works on `server` chats: who is a member, and which epoch
 * holds, is folded from the events, beginning with what the first Epoch says.
 *
 * Refuses an item that is not the next one: holes are the caller's to fetch, or to name.
 */

import { CHAIN_START } from '../crypto/index.js';
import { laneStep } from './lanes.js';

/**
 * @typedef {import('./examine.js').Facts} Facts
 * @typedef {import('./examine.js').MessageFacts} MessageFacts
 * @typedef {import('./examine.js').EventFacts} EventFacts
 * @typedef {Map<string, 'linked'|'unconfirmed'>} Trust by bundle hash
 * @typedef {Object} Verdict
 * @property {Facts} facts
 * @property {string|null} reason   why it failed; null: it counts
 * @property {readonly string[]} warnings
 *
 * @typedef {Object} Position  the furthest this client ever judged in the chat
 * @property {number} seq
 * @property {string} chain c behind it
 * @property {number} epoch
 *
 * @typedef {Object} State
 * @property {{trustOf: (username: string) => Trust|undefined, position: Position|null}} context
 * @property {number} first  seq of the first item held
 * @property {number} last
 * @property {string|null} chain  c behind the last item
 * @property {Map<number, string>} chains  seq → c behind it, the one before the first item too
 * @property {{number: number, opened: number}|null} epoch  null before the first item
 * @property {Map<number, number>} openings  epoch → seq of the held item that opened it
 * @property {Set<string>|null} members
 * @property {Map<string, number>} floors  username → least version they may still sign with
 * @property {Map<string, import('./lanes.js').Tail>} lanes
 * @property {Set<string>} ids  "from id" of every signed message
 * @property {Verdict[]} verdicts
 * @property {{seq: number, hash: string, at: number}[]} later  `seen` beyond what was held, with the place of the verdict
 * @property {Set<string>} warnings  on the chat
 */

const JOINS = ['create', 'add'];
const PARTS = ['remove', 'leave', 'ended'];
const OPENS = [...JOINS, ...PARTS, 'keys', 'rekey'];

/**
 * An empty state before item `first`.
 * @param {object} parts
 * @param {number} parts.first
 * @param {string} parts.before c before it, as the page says
 * @param {{number: number, opened_seq: number, members?: string[]}|null} parts.epoch the one that holds at it; null if
 *   the item itself opens one
 * @param {State['context']} parts.context
 * @returns {State}
 */
export function begin({ first, before, epoch, context }) {
  const holds = epoch && epoch.opened_seq < first ? epoch : null;
  /** @type {State} */
  const state = {
    context,
    first,
    last: first - 1,
    chain: before,
    chains: new Map([[first - 1, before]]),
    epoch: holds && { number: holds.number, opened: holds.opened_seq },
    openings: new Map(),
    members: holds?.members ? new Set(holds.members) : null,
    floors: new Map(),
    lanes: new Map(),
    ids: new Set(),
    verdicts: [],
    later: [],
    warnings: new Set(),
  };
  if (first === 1 && before !== CHAIN_START) state.warnings.add('history_fork');
  checkPosition(state);
  return state;
}

/**
 * @param {State} state @param {Facts|Facts[]} facts the next item, or several in order
 * @returns {State}
 */
export function reduce(state, facts) {
  const draft = {
    ...state,
    chains: new Map(state.chains),
    openings: new Map(state.openings),
    members: state.members && new Set(state.members),
    floors: new Map(state.floors),
    lanes: new Map(state.lanes),
    ids: new Set(state.ids),
    verdicts: [...state.verdicts],
    later: [...state.later],
    warnings: new Set(state.warnings),
  };
  for (const each of Array.isArray(facts) ? facts : [facts]) step(draft, each);
  return draft;
}

/** @param {State} state a draft @param {Facts} facts */
function step(state, facts) {
  if (facts.seq !== state.last + 1) throw new RangeError(`item ${facts.seq} does not follow ${state.last}`);
  if (facts.before && state.chain && facts.before !== state.chain) state.warnings.add('history_fork');
  const { reason, warnings } =
    facts.kind === 'event' ? judgeEventItem(state, facts) : judgeMessage(state, facts);
  state.verdicts.push(Object.freeze({ facts, reason, warnings: Object.freeze([...new Set(warnings)]) }));
  state.last = facts.seq;
  state.chain = facts.after;
  if (facts.after) state.chains.set(facts.seq, facts.after);
  checkPosition(state);
  settleLater(state);
}

/** What this client judged before must still be so. @param {State} state a draft */
function checkPosition(state) {
  const { position } = state.context;
  if (!position || position.seq !== state.last) return;
  if (state.chain && state.chain !== position.chain) state.warnings.add('history_fork');
  if (state.epoch && state.epoch.number < position.epoch) state.warnings.add('server_rollback');
}

/** Judges each `seen` whose item has just come. @param {State} state a draft */
function settleLater(state) {
  if (state.later.length === 0) return;
  const due = state.later.filter(({ seq }) => seq === state.last);
  state.later = state.later.filter(({ seq }) => seq !== state.last);
  for (const { hash, at } of due) {
    if (!state.chain || hash === state.chain) continue;
    const verdict = state.verdicts[at];
    state.verdicts[at] = Object.freeze({
      ...verdict,
      warnings: [...new Set([...verdict.warnings, 'history_fork'])],
    });
    state.warnings.add('history_fork');
  }
}

// ---- events ----

/** @param {State} state a draft @param {EventFacts} facts */
function judgeEventItem(state, facts) {
  const { event } = facts;
  if (!event) return { reason: 'malformed', warnings: [] };
  const warnings = [];
  if (event.log !== '' || event.share !== '') warnings.push('mode_changed'); // `server` chats have neither
  if (event.kind === 'keys' && facts.announced === null) warnings.push('identity_reset'); // its bundle is withheld
  if (event.kind === 'keys' && facts.announced !== null) raiseFloor(state, event.by, facts.announced);
  warnings.push(...moveEpoch(state, facts, event));
  moveMembers(state, facts, event);
  for (const warning of warnings) if (warning !== 'identity_reset') state.warnings.add(warning);
  return { reason: null, warnings };
}

/** @param {State} state a draft @param {EventFacts} facts @param {import('../crypto/chain.js').ChatEvent} event */
function moveEpoch(state, { seq }, event) {
  const opens = OPENS.includes(event.kind);
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

/** @param {State} state a draft @param {EventFacts} facts @param {import('../crypto/chain.js').ChatEvent} event */
function moveMembers(state, { epochMembers }, event) {
  if (JOINS.includes(event.kind) && (state.members || event.kind === 'create')) {
    state.members = new Set([...(state.members ?? []), ...event.usernames]);
  }
  if (PARTS.includes(event.kind)) for (const username of event.usernames) state.members?.delete(username);
  if (!epochMembers || !OPENS.includes(event.kind)) return;
  state.members ??= new Set(epochMembers);
  // What the event says and whom the epoch was wrapped for must be the same people.
  const same =
    state.members.size === epochMembers.length && epochMembers.every((name) => state.members?.has(name));
  if (!same) state.warnings.add('history_fork');
}

/** @param {State} state a draft @param {string} username @param {number} version */
function raiseFloor(state, username, version) {
  state.floors.set(username, Math.max(version, state.floors.get(username) ?? 0));
}

// ---- messages ----

/** @param {State} state a draft @param {MessageFacts} facts */
function judgeMessage(state, facts) {
  const { header, hash } = facts;
  if (!header || !hash || !fits(state, header)) return { reason: 'malformed', warnings: [] };
  const name = `${header.from} ${header.id}`;
  const repeated = facts.signed && state.ids.has(name);
  /** @type {string[]} */
  let lane = [];
  if (facts.signed) {
    lane = laneStep(state.lanes, header, hash, state.openings.has(header.epoch), repeated);
    state.ids.add(name);
  }
  const under = bundleFor(state, facts);
  const reason = reasonOf(state, facts, under !== null, repeated);
  if (under && facts.signed) raiseFloor(state, header.from, under.version);
  if (reason) return { reason, warnings: [] };
  const marks = under?.trust === 'unconfirmed' ? ['unconfirmed_key'] : [];
  return { reason: null, warnings: [...marks, ...lane, ...judgeSeen(state, facts.seq, header)] };
}

/** `seen` reaches back to the opening of the epoch at least. @param {State} state @param {import('../crypto/envelope.js').Header} header */
const fits = ({ epoch }, header) => header.epoch !== epoch?.number || header.seen.seq >= epoch.opened;

/** The first check that fails, in the protocol's order. @param {State} state @param {MessageFacts} facts
 * @param {boolean} keyKnown @param {boolean} repeated @returns {string|null} */
function reasonOf(state, facts, keyKnown, repeated) {
  const header = /** @type {import('../crypto/envelope.js').Header} */ (facts.header);
  if (header.epoch !== state.epoch?.number) return 'wrong_epoch';
  if (state.members && !state.members.has(header.from)) return 'not_a_member';
  if (!keyKnown) return 'unknown_key';
  if (!facts.signed) return 'bad_signature';
  return facts.key ?? facts.opened ?? (repeated ? 'replayed' : null);
}

/** The bundle that the message may be signed under: linked if there is one, and the oldest that is allowed.
 * @param {State} state @param {MessageFacts} facts */
function bundleFor({ floors, context }, { header, candidates }) {
  const from = header?.from ?? '';
  const trust = context.trustOf(from);
  const floor = floors.get(from) ?? 0;
  const allowed = candidates
    .filter(({ version, hash }) => version >= floor && trust?.has(hash))
    .map(({ version, hash }) => ({ version, trust: trust?.get(hash) }));
  allowed.sort(
    (a, b) => Number(a.trust !== 'linked') - Number(b.trust !== 'linked') || a.version - b.version,
  );
  return allowed[0] ?? null;
}

/** What the author says to have been shown. @param {State} state a draft @param {number} seq
 * @param {import('../crypto/envelope.js').Header} header @returns {string[]} */
function judgeSeen(state, seq, { seen, log }) {
  const warnings = [];
  const held = state.chains.get(seen.seq);
  if (log !== '' || (held && held !== seen.hash)) warnings.push('history_fork');
  if (seen.seq >= seq) {
    // The author was shown items that the server no longer has, or has not yet in this order.
    warnings.push('server_rollback');
    state.later.push({ seq: seen.seq, hash: seen.hash, at: state.verdicts.length });
  }
  for (const warning of warnings) state.warnings.add(warning);
  return warnings;
}

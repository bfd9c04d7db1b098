/**
 * The judge: items in gapless order of seq become verdicts, in the protocol's order of checks (§5). Pure and
 * synchronous; a state is never changed, a new one is made. Who is a member, and which epoch holds, is folded from the
 * events, beginning with what the first Epoch says, or in `combined` chats with what the membership log does.
 *
 * Refuses an item that is not the next one: holes are the caller's to fetch, or to name.
 */

import { CHAIN_START } from '../crypto/index.js';
import { beginCombined, namedAt } from './combined.js';
import { judgeEventItem, raiseFloor, same } from './events.js';
import { laneStep } from './lanes.js';

/**
 * @typedef {import('./examine.js').Facts} Facts
 * @typedef {import('./examine.js').MessageFacts} MessageFacts
 * @typedef {import('./combined.js').Combined} Combined
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
 * @property {number} [log_n]  of the log's head there, in `combined` chats
 * @property {string} [log_hash]
 *
 * @typedef {Object} Context
 * @property {(username: string) => Trust|undefined} trustOf
 * @property {import('../crypto/lines.js').LineOf} lineOf  used in `combined` chats
 * @property {Position|null} position
 *
 * @typedef {Object} State
 * @property {Context} context
 * @property {number} first  seq of the first item held
 * @property {number} last
 * @property {string|null} chain  c behind the last item
 * @property {Map<number, string>} chains  seq → c behind it, the one before the first item too
 * @property {{number: number, opened: number}|null} epoch  null before the first item
 * @property {Map<number, number>} openings  epoch → seq of the held item that opened it
 * @property {Set<string>|null} members
 * @property {Combined|null} combined  null in `server` chats
 * @property {Map<string, number>} floors  username → least version they may still sign with
 * @property {Map<string, import('./lanes.js').Tail>} lanes
 * @property {Set<string>} ids  "from id" of every signed message
 * @property {Verdict[]} verdicts
 * @property {{seq: number, hash: string, log: string, at: number}[]} later  `seen` beyond what was held, with the place
 *   of the verdict
 * @property {Set<string>} warnings  on the chat
 */

/**
 * An empty state before item `first`.
 * @param {object} parts
 * @param {number} parts.first
 * @param {string} parts.before c before it, as the page says
 * @param {{number: number, opened_seq: number, members?: string[]}|null} parts.epoch the one that holds at it; null if
 *   the item itself opens one
 * @param {Context} parts.context
 * @param {import('./combined.js').Start|null} [parts.combined] for `combined` chats, and for them only
 * @returns {State}
 */
export function begin({ first, before, epoch, context, combined = null }) {
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
    combined: null,
    floors: new Map(),
    lanes: new Map(),
    ids: new Set(),
    verdicts: [],
    later: [],
    warnings: new Set(),
  };
  if (first === 1 && before !== CHAIN_START) state.warnings.add('history_fork');
  if (combined) takeLog(state, combined, holds);
  checkPosition(state);
  return state;
}

/** @param {State} state a draft @param {import('./combined.js').Start} start
 * @param {{number: number, members?: string[]}|null} holds the epoch before the first item */
function takeLog(state, start, holds) {
  const at = { first: state.first, epoch: holds?.number ?? null, lineOf: state.context.lineOf };
  const { combined, warnings } = beginCombined(start, at);
  state.combined = combined;
  state.members = combined.members;
  for (const warning of warnings) state.warnings.add(warning);
  const wrapped = combined.served && holds?.members;
  if (wrapped && !same(new Set(combined.served?.members.keys()), wrapped)) state.warnings.add('history_fork');
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
    combined: state.combined && {
      ...state.combined,
      gone: new Set(state.combined.gone),
      named: new Map(state.combined.named),
    },
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
  if (!state.combined?.exact || position.log_n === undefined) return;
  const { n = 0, hash = '' } = state.combined.head ?? {};
  if (n < position.log_n) state.warnings.add('server_rollback');
  else if (hash !== position.log_hash) state.warnings.add('history_fork');
}

/** Judges each `seen` whose item has just come. @param {State} state a draft */
function settleLater(state) {
  if (state.later.length === 0) return;
  const due = state.later.filter(({ seq }) => seq === state.last);
  state.later = state.later.filter(({ seq }) => seq !== state.last);
  for (const { hash, log, at } of due) {
    const agrees = (!state.chain || hash === state.chain) && logFits(state, state.last, log);
    if (agrees) continue;
    const verdict = state.verdicts[at];
    state.verdicts[at] = Object.freeze({
      ...verdict,
      warnings: [...new Set([...verdict.warnings, 'history_fork'])],
    });
    state.warnings.add('history_fork');
  }
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
  if (facts.key === 'bad_share' || facts.key === 'wrong_recipient_key') state.warnings.add(facts.key);
  if (under && facts.signed && !state.combined) raiseFloor(state, header.from, under.version);
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
  if (facts.key === 'bad_share' || facts.key === 'wrong_recipient_key') return 'undecryptable';
  return facts.key ?? facts.opened ?? (repeated ? 'replayed' : null);
}

/** The bundle that the message may be signed under: in `combined` chats the one that the share names for its author; else
 * linked if there is one, and the oldest that is allowed.
 * @param {State} state @param {MessageFacts} facts */
function bundleFor({ floors, context, combined }, { header, candidates }) {
  const from = header?.from ?? '';
  const trust = context.trustOf(from);
  const floor = floors.get(from) ?? 0;
  const named = combined?.share?.recipients.get(from)?.keys;
  const allowed = candidates
    .filter(({ version, hash }) => trust?.has(hash) && (combined ? hash === named : version >= floor))
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
  const early = seen.seq >= seq;
  if ((held && held !== seen.hash) || !(early || logFits(state, seen.seq, log)))
    warnings.push('history_fork');
  if (early) {
    // The author was shown items that the server no longer has, or has not yet in this order.
    warnings.push('server_rollback');
    state.later.push({ seq: seen.seq, hash: seen.hash, log, at: state.verdicts.length });
  }
  for (const warning of warnings) state.warnings.add(warning);
  return warnings;
}

/** `log` is the last entry that an item up to `seen` names, as far as that is known; `server` chats have none.
 * @param {State} state @param {number} seq @param {string} log */
function logFits({ combined }, seq, log) {
  if (!combined) return log === '';
  return (namedAt(combined, seq) ?? log) === log;
}

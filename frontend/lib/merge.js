/**
 * Two memories of the same user made one (protocol §3): of two pins the later linked one, of two positions the
 * further. Pure. Refuses nothing; where two devices were shown different things, it says so.
 */

import { unjudged } from './crypto/index.js';

/**
 * @typedef {import('./crypto/state.js').Contents} Contents
 * @typedef {import('./crypto/state.js').StatePin} StatePin
 * @typedef {import('./crypto/state.js').StateChat} StateChat
 * @typedef {import('./pins.js').Pin} Pin
 * @typedef {Omit<Pin, 'username'>} LocalPin
 * @typedef {{pins: Map<string, LocalPin>, chats: Map<string, StateChat>}} Local  what this installation remembers
 * @typedef {{chat: string, name: 'history_fork'|'mode_changed'}} Clash
 */

/**
 * @param {Local} local @param {Contents} told what another device stored @param {Contents} base what both began with
 * @returns {{contents: Contents, clashes: Clash[]}} in the order of what is told; what differs from it stands last
 */
export function mergeMemories(local, told, base) {
  const pins = new Map(told.pins);
  for (const [username, pin] of local.pins) {
    const other = told.pins.get(username);
    const { version, keys, verified } = other ? mergePins(pin, other, base.pins.get(username)) : pin;
    put(pins, username, { version, keys, verified });
  }
  const chats = new Map(told.chats);
  /** @type {Clash[]} */
  const clashes = [];
  for (const [chat, position] of local.chats) {
    const other = told.chats.get(chat);
    const { merged, names } = other ? mergeChats(position, other) : { merged: position, names: [] };
    put(chats, chat, merged);
    clashes.push(...names.map((name) => ({ chat, name })));
  }
  return { contents: { pins, chats }, clashes };
}

/** What changed stands last. @template T @param {Map<string, T>} map @param {string} id @param {T} value */
function put(map, id, value) {
  if (same(map.get(id), value)) return;
  map.delete(id);
  map.set(id, value);
}

const same = (/** @type {unknown} */ a, /** @type {unknown} */ b) => JSON.stringify(a) === JSON.stringify(b);

/**
 * A later pin counts only where it is tied to the earlier one: a device that met a person after a reset does not
 * vouch for it against one that knew them before. The mark stays along continuity, and the one that changed since
 * both agreed counts.
 * @param {LocalPin} mine @param {StatePin} other @param {StatePin|undefined} base @returns {StatePin}
 */
export function mergePins(mine, other, base) {
  if (!isTied(mine, other)) {
    if (mine.version === other.version) return mine.verified ? mine : other;
    return mine.version < other.version ? mine : other;
  }
  const { version, keys } = mine.version < other.version ? other : mine;
  const before = marked(mine, base);
  return { version, keys, verified: mine.verified === before ? marked(mine, other) : mine.verified };
}

/** Pins move by themselves to whatever continuity gives, so what is tied to one is known here already.
 * @param {LocalPin} mine @param {{keys: string}} other */
const isTied = (mine, { keys }) => mine.keys === keys || mine.linked.includes(keys);

/** Does it say that those whom `mine` is of were compared? @param {LocalPin} mine @param {StatePin|undefined} pin */
const marked = (mine, pin) =>
  pin !== undefined && isTied(mine, pin) && pin.version >= (mine.since ?? 0) && pin.verified;

/**
 * The pin of this installation, with what another one stored.
 * @param {string} username @param {Pin|undefined} mine @param {StatePin} other @param {StatePin|undefined} base
 * @returns {Pin|null} null: it stays as it is
 */
export function laidPin(username, mine, other, base) {
  if (!mine) return { username, ...other, linked: [other.keys] };
  const { version, keys, verified } = mergePins(mine, other, base);
  if (keys === mine.keys && verified === mine.verified) return null;
  return isTied(mine, { keys })
    ? { ...mine, version, keys, verified }
    : { username, version, keys, verified, linked: [keys] };
}

/** @param {StateChat} mine @param {StateChat} other @returns {{merged: StateChat, names: Clash['name'][]}} */
function mergeChats(mine, other) {
  /** @type {Set<Clash['name']>} */
  const names = new Set();
  if (mine.mode !== other.mode) names.add('mode_changed');
  if (mine.seq === other.seq && mine.chain !== other.chain) names.add('history_fork');
  if (mine.log_n === other.log_n && mine.log_hash !== other.log_hash) names.add('history_fork');
  const { seq, chain, epoch } = mine.seq > other.seq ? mine : other;
  const { log_n, log_hash } = mine.log_n > other.log_n ? mine : other;
  return { merged: { ...unjudged(other.mode), log_n, log_hash, epoch, seq, chain }, names: [...names] };
}

/** Do both say the same, in whatever order? @param {Contents} a @param {Contents} b */
export const sameMemory = (a, b) =>
  /** @type {const} */ (['pins', 'chats']).every(
    (kind) =>
      a[kind].size === b[kind].size && [...a[kind]].every(([id, value]) => same(b[kind].get(id), value)),
  );

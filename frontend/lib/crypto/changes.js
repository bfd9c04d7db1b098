// Changes of a `combined` chat's members as a member's client makes them: the next entry of the log for each op, and
// who may do what (protocol §4).
//
// Refuses, before anything is signed, what the others would refuse: `forbidden` for a member who is no owner,
// `member_without_keys` with `usernames`, `last_owner` where none would be left, `invalid_membership` for who is in the
// log already, or not.

import { ChatSecError } from '../errors.js';
import { confirmed, currentLink } from './lines.js';
import { BY_OWNERS, ownersOf, readEntry } from './membership.js';
import { signObject } from './signed.js';

/**
 * @typedef {import('./lines.js').LineOf} LineOf
 * @typedef {import('./membership.js').Entry} Entry
 * @typedef {import('./membership.js').LogMember} LogMember
 * @typedef {{n: number, prev: string, op: string, name: string | null, members: Record<string, LogMember>}} Next what an entry adds, as JSON
 *
 * @typedef {object} Wanted
 * @property {string} op
 * @property {string} by
 * @property {Entry | null} before null for `create`
 * @property {LineOf} lineOf
 * @property {string[]} [usernames] who; for `create` the others
 * @property {'owner' | 'member'} [role] for `add` (else `member`) and `role`
 * @property {string | null} [name] for `create` and `rename`
 * @property {string} [heir] who becomes owner when the last one leaves; else the first by name who can sign
 * @property {ReadonlySet<string>} [gone] members of the log who are in the chat no more; `retire` takes them all out
 */

/** @typedef {(members: Map<string, LogMember>, wanted: Wanted) => void} Change */

/** @param {string} username @param {LineOf} lineOf @returns {string} kh */
function currentKeys(username, lineOf) {
  const line = lineOf(username);
  const current = line && currentLink(line);
  if (!current) throw new ChatSecError('member_without_keys', undefined, { usernames: [username] });
  return current.hash;
}

/** @param {Map<string, LogMember>} members @param {string} who @param {Partial<LogMember>} change */
function set(members, who, change) {
  const held = members.get(who);
  if (!held) throw new ChatSecError('invalid_membership', `${who} is not in the log`);
  members.set(who, { ...held, ...change });
}

/** Somebody must be owner while members are. @param {Map<string, LogMember>} members @param {string | undefined} heir */
function inherit(members, heir) {
  if (members.size > 0 && ownersOf(members).length === 0) set(members, heir ?? '', { role: 'owner' });
}

/** @type {Record<string, Change>} */
const CHANGES = {
  create(members, { by, usernames = [], lineOf }) {
    members.set(by, { role: 'owner', keys: currentKeys(by, lineOf) });
    for (const who of usernames)
      if (who !== by) members.set(who, { role: 'member', keys: currentKeys(who, lineOf) });
  },
  add(members, { usernames = [], role = 'member', lineOf }) {
    for (const who of usernames) {
      if (members.has(who)) throw new ChatSecError('invalid_membership', `${who} is in the log already`);
      members.set(who, { role, keys: currentKeys(who, lineOf) });
    }
  },
  remove(members, { usernames = [] }) {
    for (const who of usernames)
      if (!members.delete(who)) throw new ChatSecError('invalid_membership', `${who} is not in the log`);
  },
  leave(members, { by, before, lineOf, heir, gone = new Set() }) {
    members.delete(by);
    const names = [...members.keys()].sort();
    const able = before ? ableIn(before, gone, lineOf) : [];
    inherit(
      members,
      heir ?? names.find((who) => able.includes(who)) ?? names.find((who) => !gone.has(who)) ?? names[0],
    );
  },
  role(members, { usernames = [], role }) {
    for (const who of usernames) set(members, who, { role });
  },
  rename() {},
  keys(members, { usernames = [], lineOf }) {
    for (const who of usernames) set(members, who, { keys: currentKeys(who, lineOf) });
  },
  retire(members, { by, gone = new Set() }) {
    for (const who of gone) members.delete(who);
    inherit(members, by);
  },
};

/**
 * What the next entry of the log adds: the whole result of the change, as the current bundles are now.
 * @param {Wanted} wanted
 * @returns {Next} throws `forbidden`, `member_without_keys`, `last_owner`, `invalid_membership`
 */
export function nextEntry(wanted) {
  const { op, before } = wanted;
  if (!Object.hasOwn(CHANGES, op)) throw new ChatSecError('invalid_membership', `no op ${op}`);
  if (before) mayChange(wanted, before);
  const members = new Map(before?.members);
  CHANGES[op](members, wanted);
  if (members.size > 0 && ownersOf(members).length === 0) throw new ChatSecError('last_owner');
  const named = op === 'create' || op === 'rename';
  return {
    n: (before?.n ?? 0) + 1,
    prev: before?.hash ?? '',
    op,
    name: named ? (wanted.name ?? null) : (before?.name ?? null),
    members: Object.fromEntries(members),
  };
}

/** @param {Wanted} wanted @param {Entry} before */
function mayChange({ op, by, usernames = [], lineOf, gone = new Set() }, before) {
  if (BY_OWNERS.has(op) && !ownersOf(before.members).includes(by)) throw new ChatSecError('forbidden');
  if (op !== 'keys') return;
  const { mayConfirm: whom } = standing({ entry: before, gone, lineOf, me: by });
  if (!usernames.every((who) => whom.includes(who))) throw new ChatSecError('forbidden');
}

/**
 * Signs it; the result is read back as the others will.
 * @param {object} parts
 * @param {string} parts.chat
 * @param {{by: string, keys: string}} parts.author `keys`: kh of the own current bundle
 * @param {string} parts.at now, as the protocol writes times
 * @param {Next} parts.next
 * @param {{alg: string, kid: string, key: import('./algorithms.js').PrivateKey}} parts.signer RSA-PSS or Ed25519
 * @returns {Promise<{object: import('./signed.js').SignedObject, entry: Entry}>} throws `invalid_membership`
 */
export async function makeEntry({ chat, author: { by, keys }, at, next, signer }) {
  const { alg, kid } = signer;
  const fields = { chat, by, alg, kid, keys, at, ...next };
  const object = await signObject({ kind: 'membership', fields, signer });
  return { object, entry: await readEntry(object, chat) };
}

// ---- who may do what ----

/** Members who are in the chat and can sign: no reset since the log named their keys.
 * @param {Entry} entry @param {ReadonlySet<string>} gone @param {LineOf} lineOf @returns {string[]} sorted */
function ableIn({ members }, gone, lineOf) {
  const able = [...members].filter(([who, { keys }]) => {
    const line = lineOf(who);
    return !gone.has(who) && line !== undefined && confirmed(line, keys);
  });
  return able.map(([who]) => who).sort();
}

/** An owner, or any member where no other owner can sign. @param {string[]} able @param {string[]} owners
 * @param {string} by @param {string} who whose keys are new */
const mayConfirm = (able, owners, by, who) =>
  by !== who &&
  able.includes(by) &&
  (owners.includes(by) || !owners.some((name) => name !== who && able.includes(name)));

/**
 * How the members of a log stand by the bundles that are known now.
 * @param {{entry: Entry, gone: ReadonlySet<string>, lineOf: LineOf, me: string}} parts
 * @returns {{able: string[], reset: string[], mayConfirm: string[], confirmers: string[], stuck: boolean}} `able`: in the
 *   chat and can sign; `reset`: in the chat, with new keys that nobody has confirmed; `mayConfirm`: those of them whom I
 *   may confirm; `confirmers`: who may confirm mine; `stuck`: nobody can sign any more
 */
export function standing({ entry, gone, lineOf, me }) {
  const able = ableIn(entry, gone, lineOf);
  const owners = ownersOf(entry.members);
  const here = [...entry.members.keys()].filter((who) => !gone.has(who)).sort();
  const reset = here.filter((who) => {
    const line = lineOf(who);
    return line !== undefined && currentLink(line) !== undefined && !able.includes(who);
  });
  return {
    able,
    reset,
    mayConfirm: reset.filter((who) => mayConfirm(able, owners, me, who)),
    confirmers: reset.includes(me) ? able.filter((who) => mayConfirm(able, owners, who, me)) : [],
    stuck: here.length > 0 && able.length === 0,
  };
}

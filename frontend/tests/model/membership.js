/**
 * Entries of the membership log as the model server judges them, written from docs/protocol.md §4 alone: the
 * library's judge is the other side of the tests. Refuses what the page says, by its codes.
 */

import { isHash, isHashOrEmpty, isObject, isOrdinal, isUsername } from '../../lib/crypto/index.js';
import { lineOf, mayBind, reaches } from './keys.js';
import { need, Refusal } from './refusal.js';
import { readSigned } from './signed.js';

const MOST = 200;
const OPS = ['create', 'add', 'remove', 'leave', 'role', 'keys', 'rename', 'retire'];

const isMember = (member) => isObject(member) && typeof member.role === 'string' && isHash(member.keys);

const FORM = {
  n: isOrdinal,
  prev: isHashOrEmpty,
  op: (value) => typeof value === 'string',
  name: (value) => value === null || typeof value === 'string',
  members: (value) =>
    isObject(value) && Object.entries(value).every(([name, member]) => isUsername(name) && isMember(member)),
};

export const readEntry = (object) => readSigned('membership', object, FORM);

const fits = (value) => need(value, 'invalid_membership');

/** What an entry does to the members before it. */
export function differencesOf(before, after) {
  const names = (all, test) => Object.keys(all).filter(test);
  return {
    joined: names(after, (name) => !before[name]),
    gone: names(before, (name) => !after[name]),
    roles: names(after, (name) => before[name] && before[name].role !== after[name].role),
    keys: names(after, (name) => before[name] && before[name].keys !== after[name].keys),
  };
}

/** Who an entry changes, as the event names them. */
export function changedBy(entry, head) {
  const { joined, gone, roles, keys } = differencesOf(head?.members ?? {}, entry.members);
  const whom = { create: joined, add: joined, remove: gone, leave: gone, retire: gone, role: roles, keys };
  return whom[entry.op] ?? [];
}

const ownersOf = (members) => Object.keys(members).filter((name) => members[name].role === 'owner');
const only = (list, ...names) => list.length === names.length && names.every((name) => list.includes(name));

/** Can this member of the log sign now? @param {any} server */
async function canSign(server, chat, head, username) {
  if (chat.waiting.has(username)) return false;
  const line = await lineOf(server.accounts.get(username));
  return reaches(line, head.members[username].keys, line.at(-1).hash);
}

/** The rules of each op. @param {ReturnType<typeof differencesOf>} d @param {any} entry @param {any} head @param {any} chat */
const RULES = {
  create: (d, { members, by }, head) => fits(!head && members[by]?.role === 'owner'),
  add: (d) => fits(d.joined.length > 0 && only(d.gone) && only(d.roles) && only(d.keys)),
  remove(d, { by }) {
    fits(d.gone.length > 0 && !d.gone.includes(by) && only(d.joined) && only(d.roles) && only(d.keys));
  },
  role: (d) => fits(d.roles.length > 0 && only(d.joined) && only(d.gone) && only(d.keys)),
  rename: (d) => fits(only(d.joined) && only(d.gone) && only(d.roles) && only(d.keys)),
  keys(d, { by }) {
    fits(d.keys.length === 1 && !d.keys.includes(by) && only(d.joined) && only(d.gone) && only(d.roles));
  },
  leave(d, { by, members }, head) {
    fits(only(d.gone, by) && only(d.joined) && only(d.keys));
    const last = only(ownersOf(head.members), by) && Object.keys(members).length > 0;
    fits(d.roles.length === (last ? 1 : 0));
  },
  retire(d, { by, members }, head, chat) {
    fits(d.gone.length > 0 && d.gone.every((name) => chat.waiting.has(name)));
    fits(only(d.joined) && only(d.keys));
    const left = ownersOf(head.members).filter((name) => !d.gone.includes(name));
    fits(left.length > 0 ? only(d.roles) : only(d.roles, by) && members[by].role === 'owner');
    const rest = [...chat.waiting].filter((name) => !d.gone.includes(name));
    if (rest.length > 0) throw new Refusal('epoch_conflict', conflictOf(chat, rest));
  },
};

/** What stands beside `epoch_conflict`. */
export const conflictOf = (chat, moved = []) => ({
  epoch: chat.epochs.at(-1).number,
  membership: chat.log.at(-1).hash,
  moved,
});

/** Bundles named for whom the entry brings in or confirms must be ones that lead to the current. */
async function judgeNamed(server, entry, head) {
  const { joined, keys } = differencesOf(head?.members ?? {}, entry.members);
  for (const name of [...joined, ...keys]) {
    const account = server.accounts.get(name);
    need(account && !account.ended, 'invalid');
    need(account.bundles.length > 0, 'member_without_keys', { usernames: [name] });
    const line = await lineOf(account);
    fits(reaches(line, entry.members[name].keys, line.at(-1).hash));
    if (keys.includes(name)) fits(!reaches(line, head.members[name].keys, entry.members[name].keys));
  }
}

/** Whoever signs does so under a bundle that the log leads to, and with a key that is current. */
async function judgeAuthor(server, chat, entry, head) {
  const line = await lineOf(server.accounts.get(entry.by));
  const named = head?.members[entry.by] ?? entry.members[entry.by];
  fits(named && mayBind(line.at(-1), entry));
  const signed = line.find(({ hash }) => hash === entry.keys);
  const key = signed?.signing.find(({ kid, alg }) => kid === entry.kid && alg === entry.alg);
  fits(key);
  fits(reaches(line, named.keys, entry.keys));
  const held = chat.epochs.at(-1)?.share.recipients[entry.by];
  if (held) fits(signed.version >= line.find(({ hash }) => hash === held.keys).version);
  fits(await entry.verify(key.spki));
}

/** Ops that only some may do. */
async function judgeRight(server, chat, entry, head) {
  if (['add', 'remove', 'role', 'rename'].includes(entry.op))
    need(head.members[entry.by].role === 'owner', 'forbidden');
  if (entry.op !== 'keys' || head.members[entry.by].role === 'owner') return;
  const { keys } = differencesOf(head.members, entry.members);
  for (const owner of ownersOf(head.members))
    need(keys.includes(owner) || !(await canSign(server, chat, head, owner)), 'forbidden');
}

/** The request says the same as the entry. */
function judgeRequest(entry, head, { kind, usernames, role, name }) {
  fits(entry.op === kind);
  const changed = changedBy(entry, head);
  if (kind === 'create' || kind === 'rename') fits((name ?? null) === entry.name);
  if (kind === 'create') fits(only([...new Set([entry.by, ...(usernames ?? [])])], ...changed));
  else if (kind !== 'leave' || usernames) fits(only(usernames ?? [], ...changed));
  if (role !== undefined) fits(changed.every((each) => entry.members[each].role === role));
}

/**
 * @param {any} server @param {any} chat as it is, or as it would be made
 * @param {string} username who asks @param {any} entry read @param {any} request its body
 */
export async function judgeEntry(server, chat, username, entry, request) {
  const head = chat.log.at(-1);
  const last = head?.n ?? 0;
  need(entry.n === last + 1, 'membership_conflict', { n: last });
  fits(OPS.includes(entry.op) && (entry.op === 'create') === !head);
  fits(entry.chat === chat.id && entry.by === username && entry.prev === (head?.hash ?? ''));
  if (head) await judgeRight(server, chat, entry, head);
  const names = Object.keys(entry.members);
  fits(names.length <= MOST && names.every((name) => ['owner', 'member'].includes(entry.members[name].role)));
  fits(names.length === 0 || ownersOf(entry.members).length > 0);
  if (head && entry.op !== 'rename') fits(entry.name === head.name);
  judgeRequest(entry, head, request);
  RULES[entry.op](differencesOf(head?.members ?? {}, entry.members), entry, head, chat);
  await judgeNamed(server, entry, head);
  await judgeAuthor(server, chat, entry, head);
}

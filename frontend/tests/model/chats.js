/** Chats of the model server: made, changed, left and erased (protocol §4, §6). */

import { changeCombined, createCombined } from './combined.js';
import { happen } from './events.js';
import { lineOf, reaches } from './keys.js';
import { need } from './refusal.js';
import { viewOf } from './views.js';

const OWNERS_ONLY = ['add', 'remove', 'role', 'rename'];

/** Chats that an account is in. */
export const chatsOf = (server, username) =>
  [...server.chats.values()].filter(({ members }) => members.has(username));

function newChat({ id, name = null, key_mode: mode = 'server' }, creator) {
  const chat = { id, name, mode, creator, members: new Map(), items: [], epochs: [], marks: new Map() };
  // `log`: entries; `waiting`: who is in the log and no member any more; `files`: attachments.
  return { ...chat, past: new Set(), log: [], waiting: new Set(), shareDue: false, files: new Map() };
}

export function join(chat, username, role, seq) {
  chat.members.set(username, { role, joined_seq: seq });
  chat.marks.set(username, { read: 0, delivered: 0 });
  chat.past.add(username);
}

/** @param {any} server @param {string} username @param {any} body of POST /chats @returns the Chat */
export async function createChat(server, username, body) {
  const held = server.chats.get(body.id);
  if (held) {
    need(held.creator === username && held.made === JSON.stringify(body), 'id_conflict');
    return viewOf(server, username, held);
  }
  const everyone = [...new Set([username, ...body.members])];
  need(everyone.every((each) => server.accounts.has(each) && !server.accounts.get(each).ended));
  const keyless = everyone.filter((each) => server.accounts.get(each).bundles.length === 0);
  need(keyless.length === 0, 'member_without_keys', { usernames: keyless });
  const chat = { ...newChat(body, username), made: JSON.stringify(body) };
  const created = chat.mode === 'combined' ? await createCombined(server, chat, username, body) : null;
  for (const each of everyone) join(chat, each, each === username ? 'owner' : 'member', 1);
  server.chats.set(chat.id, chat);
  const event = { kind: 'create', by: username, usernames: everyone };
  if (created) await created(event);
  else await happen(server, chat, event);
  return viewOf(server, username, chat);
}

/** @param {any} server @param {string} username @param {any} chat @param {any} body of POST …/events */
export async function changeChat(server, username, chat, body) {
  const result =
    chat.mode === 'combined'
      ? await changeCombined(server, username, chat, body)
      : await changeServerMade(server, username, chat, body);
  return result === null ? null : viewOf(server, username, chat);
}

async function changeServerMade(server, username, chat, body) {
  const { kind, usernames = [], role = 'member', name } = body;
  need(!body.membership && !body.client_share);
  need(['add', 'remove', 'leave', 'role', 'rename', 'rekey'].includes(kind));
  const owner = chat.members.get(username).role === 'owner';
  need(!OWNERS_ONLY.includes(kind) || owner, 'forbidden');
  const whom = kind === 'leave' ? [username] : ['rekey', 'rename'].includes(kind) ? [] : usernames;
  need(whom.every((each) => chat.members.has(each) === (kind !== 'add') && server.accounts.has(each)));
  const owners = [...chat.members].filter(([, member]) => member.role === 'owner').map(([each]) => each);
  if (kind === 'leave' && chat.members.size > 1)
    need(
      owners.some((each) => each !== username),
      'last_owner',
    );
  const next = chat.items.length + 1;
  if (kind === 'add') for (const each of whom) join(chat, each, role, next);
  if (kind === 'role') for (const each of whom) chat.members.get(each).role = role;
  if (kind === 'rename') chat.name = name;
  if (kind === 'remove' || kind === 'leave')
    return part(server, chat, { kind, by: username, usernames: whom });
  return happen(server, chat, { kind, by: username, usernames: whom });
}

/** Who goes is a member no longer when the others are told. @returns {Promise<null|void>} null to who went */
export async function part(server, chat, event, share = null) {
  for (const each of event.usernames) chat.members.delete(each);
  if (chat.members.size === 0) server.chats.delete(chat.id);
  else await happen(server, chat, event, share);
  server.push(event.usernames, 'chat:removed', () => ({ chat: chat.id }));
  return chat.members.has(event.by) ? undefined : null;
}

/** @param {any} server @param {string} username @param {any} chat */
export function eraseChat(server, username, chat) {
  const role = chat.log.at(-1)?.members[username]?.role ?? chat.members.get(username).role;
  need(role === 'owner', 'forbidden');
  server.chats.delete(chat.id);
  server.push([...chat.members.keys()], 'chat:removed', () => ({ chat: chat.id }));
  return null;
}

/** Takes a judged bundle: an epoch in every `server` chat, a share due where the log reaches it. */
export async function takeBundle(server, account, bundle) {
  const { username } = account;
  account.bundles.push(bundle);
  const line = await lineOf(account);
  const { hash: keys, version, previous } = line.at(-1);
  const mates = new Set([username]);
  for (const chat of chatsOf(server, username)) {
    for (const each of chat.members.keys()) mates.add(each);
    if (chat.mode === 'server')
      await happen(server, chat, { kind: 'keys', by: username, usernames: [username], keys });
    else if (previous && reaches(line, chat.log.at(-1).members[username].keys, keys)) chat.shareDue = true;
  }
  server.push([...mates], 'keys', () => ({ username, version }));
}

/** The account ends: an event in each chat; in `combined` ones its name waits in the log for a `retire`. */
export async function endAccount(server, account) {
  const { username } = account;
  for (const { mode, members } of chatsOf(server, username)) {
    const others = [...members].filter(([name]) => name !== username);
    const alone = mode === 'server' && members.get(username).role === 'owner' && others.length > 0;
    need(!alone || others.some(([, { role }]) => role === 'owner'), 'last_owner');
  }
  account.ended = true;
  for (const chat of chatsOf(server, username)) {
    chat.waiting.add(username);
    chat.shareDue = chat.mode === 'combined';
    await part(server, chat, { kind: 'ended', by: '', usernames: [username] });
  }
}

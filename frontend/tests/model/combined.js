/**
 * Changes of `combined` chats in the model server: an entry, a share or both, taken together or not at all
 * (protocol §4, the table of kinds).
 */

import { happen } from './events.js';
import { changedBy, judgeEntry, readEntry } from './membership.js';
import { need } from './refusal.js';
import { judgeShare, readShare } from './shares.js';

/** What each kind needs. */
const KINDS = {
  add: ['entry', 'share'],
  remove: ['entry', 'share'],
  keys: ['entry', 'share'],
  retire: ['entry', 'share'],
  role: ['entry'],
  rename: ['entry'],
  leave: ['entry'],
  rekey: ['share'],
};

/** @returns what takes the chat's first event, once it is there */
export async function createCombined(server, chat, username, body) {
  need(body.id && body.membership && body.client_share);
  const entry = await readEntry(body.membership);
  const share = await readShare(body.client_share);
  const request = { kind: 'create', usernames: body.members, name: body.name };
  await judgeEntry(server, chat, username, entry, request);
  await judgeShare(server, chat, username, share, entry);
  return async (event) => {
    chat.log.push(entry);
    await happen(server, chat, { ...event, log: entry.hash }, share);
  };
}

/** The answer to the same bytes again, else undefined. */
function answeredBefore(chat, username, entry, share) {
  const held = entry && chat.log.find(({ hash }) => hash === entry.hash);
  if (held?.by === username) return { gone: !chat.members.has(username) };
  const posted = !entry && share && chat.epochs.some((epoch) => epoch.share.hash === share.hash);
  return posted ? { gone: false } : undefined;
}

/** @returns {Promise<null|void>} null to who is no member any more */
export async function changeCombined(server, username, chat, body) {
  const { kind, membership, client_share: given } = body;
  const entry = membership ? await readEntry(membership) : null;
  const share = given ? await readShare(given) : null;
  const again = answeredBefore(chat, username, entry, share);
  if (again) return again.gone ? null : undefined;
  need(chat.members.has(username), 'not_found');
  need(Object.hasOwn(KINDS, kind));
  const wanted = KINDS[kind];
  need(Boolean(share) === wanted.includes('share'));
  need(Boolean(entry) === wanted.includes('entry') || (kind === 'leave' && !entry));
  if (entry) await judgeEntry(server, chat, username, entry, body);
  if (share) await judgeShare(server, chat, username, share, entry);
  return take(server, username, chat, { kind, entry, share });
}

async function take(server, username, chat, { kind, entry, share }) {
  const changed = entry ? changedBy(entry, chat.log.at(-1)) : kind === 'leave' ? [username] : [];
  const event = { kind, by: username, usernames: changed, log: entry?.hash ?? '' };
  if (entry) chat.log.push(entry);
  const seq = chat.items.length + 1;
  if (kind === 'add') for (const each of changed) admit(chat, each, seq);
  if (kind === 'retire') for (const each of changed) chat.waiting.delete(each);
  if (kind === 'remove' || kind === 'leave') {
    for (const each of changed) chat.members.delete(each);
    if (kind === 'leave') chat.shareDue = true;
    if (kind === 'leave' && !entry) chat.waiting.add(username);
  }
  if (chat.members.size === 0) server.chats.delete(chat.id);
  else await happen(server, chat, event, share);
  if (kind === 'remove' || kind === 'leave') server.push(changed, 'chat:removed', () => ({ chat: chat.id }));
  return chat.members.has(username) ? undefined : null;
}

function admit(chat, username, seq) {
  chat.members.set(username, { role: 'member', joined_seq: seq }); // the role is the log's
  chat.marks.set(username, { read: 0, delivered: 0 });
  chat.past.add(username);
}

/** Chats, Epochs and pages of the model server, each as one member sees it (protocol §6). */

import { CHAIN_START } from '../../lib/crypto/index.js';
import { historyOf, toldItem } from './items.js';
import { TIME } from './refusal.js';

/** @param {any} server @param {string} username @param {any} chat @returns the Chat */
export async function viewOf(server, username, chat) {
  const { items, first } = await historyOf(server, username, chat);
  const head = chat.log?.at(-1);
  const members = [...chat.members].map(([name, { role, joined_seq: joined }]) => ({
    username: name,
    display_name: server.accounts.get(name).display,
    role: head?.members[name]?.role ?? role,
    joined_seq: joined,
  }));
  const marks = (kind) => Object.fromEntries([...chat.marks].map(([name, mark]) => [name, mark[kind]]));
  const view = {
    id: chat.id,
    name: head ? head.name : chat.name,
    key_mode: chat.mode,
    created_by: chat.creator,
    created_at: TIME,
    members,
    membership: head ? { n: head.n, hash: head.hash } : null,
    epoch: epochFor(server, username, chat, chat.epochs.at(-1), items),
    share_due: chat.shareDue,
    first_seq: first,
    last_seq: items.at(-1)?.seq ?? 0,
    read: marks('read'),
    delivered: marks('delivered'),
  };
  return server.lies.chat?.(username, view) ?? view;
}

/** A Chat as lists give it. */
export async function briefOf(server, username, chat) {
  const { epoch, ...view } = await viewOf(server, username, chat);
  return { ...view, epoch: { number: epoch.number, opened_seq: epoch.opened_seq } };
}

/** An Epoch as one member sees it; `opened_seq` follows what that member is told. */
export function epochFor(server, username, chat, epoch, items) {
  const opening = items.find(({ body }) => body.event && opens(chat, body.event, epoch.number));
  const wrap = epoch.wraps.get(username);
  const { share } = epoch;
  const told = {
    number: epoch.number,
    opened_seq: opening?.seq ?? epoch.opened_seq,
    opened_at: TIME,
    members: epoch.members,
    kid: wrap?.kid ?? null,
    wrapped: wrap?.wrapped ?? null,
    client_share: share ? { ...share.object, wrapped: share.wraps[username] ?? null } : null,
  };
  return server.lies.epoch?.(username, told, chat, epoch) ?? told;
}

/** Is this the event that opens that epoch? */
const opens = (chat, event, number) =>
  event.epoch === number && (chat.mode === 'combined' ? event.share !== '' : OPENS.has(event.kind));

/** What opens an epoch in `server` chats (protocol §4). */
export const OPENS = new Set(['create', 'add', 'remove', 'leave', 'keys', 'rekey', 'ended']);

/** All Epochs that were made for this member since they joined. */
export async function epochsFor(server, username, chat) {
  const { items, first } = await historyOf(server, username, chat);
  return chat.epochs
    .filter(
      (epoch, i) => epoch.members.includes(username) && (chat.epochs[i + 1]?.opened_seq ?? Infinity) > first,
    )
    .map((epoch) => epochFor(server, username, chat, epoch, items));
}

/** @param {URLSearchParams} query */
export async function pageOf(server, username, chat, query) {
  const { items, first } = await historyOf(server, username, chat);
  const limit = Number(query.get('limit') ?? 50);
  const [after, below] = ['after', 'before'].map((name) =>
    query.has(name) ? Number(query.get(name)) : null,
  );
  const fitting = items.filter(
    ({ seq }) => (after === null || seq > after) && (below === null || seq < below),
  );
  const page = after === null ? fitting.slice(-limit) : fitting.slice(0, limit);
  const asked = after === null ? (below ?? items.length + first) : after + 1;
  const beforeEmpty = items.find(({ seq }) => seq === asked)?.before ?? items.at(-1)?.chain ?? CHAIN_START;
  const answer = {
    items: page.map((item) => toldItem(chat, item)),
    before: page[0]?.before ?? beforeEmpty,
    epochs: neededBy(chat, page, items).map((epoch) => epochFor(server, username, chat, epoch, items)),
    last_seq: items.at(-1)?.seq ?? 0,
  };
  return (await server.lies.page?.(username, answer, chat)) ?? answer;
}

/** The epochs that hold at the items of a page, or are named by them. */
function neededBy(chat, page, items) {
  const numbers = new Set();
  for (const { seq, body } of page) {
    const holding = items.findLast((item) => item.body.event && item.seq <= seq)?.body.event.epoch;
    numbers.add(body.event?.epoch ?? holding);
  }
  return chat.epochs.filter(({ number }) => numbers.has(number));
}

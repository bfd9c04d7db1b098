/** The one sequence of a chat in the model server: what is in it, in which chain, and what each reader is told of it. */

import { CHAIN_START, chainStep, envelopeHash, eventHash, hash } from '../../lib/crypto/index.js';
import { copyOf, TIME } from './refusal.js';

/** Hash of an item's body, as the chain takes it; of what is no envelope, of its text. */
const bodyHash = (chat, body) =>
  body.event
    ? eventHash(chat, body.event)
    : body.envelope.protected
      ? envelopeHash(body.envelope)
      : hash(JSON.stringify(body));

/** @param {any} chat @param {{event?: any, envelope?: any}} body @returns the item, in its place */
export async function append(chat, body) {
  const before = chat.items.at(-1)?.chain ?? CHAIN_START;
  const chain = await chainStep(before, await bodyHash(chat.id, body));
  const item = { seq: chat.items.length + 1, body, before, chain };
  chat.items.push(item);
  return item;
}

/**
 * The history as this user is told it: honest, unless a lie says otherwise; then with a chain that fits the lie.
 * @returns {Promise<{items: any[], first: number}>}
 */
export async function historyOf(server, username, chat) {
  const first = chat.members.get(username)?.joined_seq ?? 1;
  const honest = chat.items.slice(first - 1);
  if (!server.lies.history) return { items: honest, first };
  const copies = honest.map((item) => copyOf(item));
  const items = (await server.lies.history(username, copies, chat)) ?? copies;
  let chain = first === 1 ? CHAIN_START : chat.items[first - 2].chain;
  let seq = first;
  for (const item of items) {
    if (!item.keepSeq) item.seq = seq;
    item.before = item.toldBefore ?? chain;
    chain = await chainStep(chain, await bodyHash(chat.id, item.body));
    item.chain = chain;
    seq = item.seq + 1;
  }
  return { items, first };
}

/** An item as it travels. */
export function toldItem(chat, { seq, body }) {
  const frame = { seq, received_at: TIME };
  return body.event
    ? { chat: chat.id, ...frame, event: body.event }
    : { ...frame, chat: chat.id, ...body.envelope };
}

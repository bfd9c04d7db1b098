/** Messages of the model server: taken in the order of checks that docs/protocol.md §7 gives, marks and `sync`. */

import { parseEnvelope, signingKey } from '../../lib/crypto/index.js';
import { chatsOf } from './chats.js';
import { happen, tell } from './events.js';
import { append, historyOf } from './items.js';
import { currentOf, lineOf } from './keys.js';
import { need, Refusal, TIME } from './refusal.js';
import { epochFor } from './views.js';

/** @param {any} server @param {any} socket of the sender @param {any} envelope @returns the ack */
export async function sendMessage(server, socket, envelope) {
  const { username } = socket;
  const { header, hash } = await parseEnvelope(envelope);
  const chat = server.chats.get(envelope.chat);
  const ack = ({ seq, before }, duplicate) => {
    return { chat: chat.id, id: header.id, seq, received_at: TIME, before, duplicate };
  };
  const held = chat?.items.find(({ from, id }) => from === username && id === header.id);
  if (held) {
    need(held.hash === hash, 'id_conflict');
    return ack(held, true);
  }
  need(chat?.members.has(username), 'not_found');
  need(header.from === username);
  await judgePlace(server, chat, username, header);
  const { chat: _chat, ...body } = envelope;
  const item = Object.assign(await append(chat, { envelope: body }), { from: username, id: header.id, hash });
  const epoch = chat.epochs.at(-1);
  epoch.sent += 1;
  const full = epoch.sent >= server.messagesPerEpoch;
  if (full && chat.mode === 'combined') chat.shareDue = true;
  await tell(server, chat, item, socket);
  if (full && chat.mode === 'server') await happen(server, chat, { kind: 'rekey', by: '', usernames: [] });
  return ack(item, false);
}

async function judgePlace(server, chat, username, header) {
  const epoch = chat.epochs.at(-1);
  need(header.epoch <= epoch.number);
  if (header.epoch < epoch.number) {
    const { items } = await historyOf(server, username, chat);
    throw new Refusal('stale_epoch', { epoch: epochFor(server, username, chat, epoch, items) });
  }
  need(header.seen.seq >= epoch.opened_seq && header.seen.seq <= chat.items.length);
  need(!chat.shareDue, 'share_due');
  const account = server.accounts.get(username);
  const named = epoch.share?.recipients[username]?.keys;
  const bundles = [await currentOf(account)];
  if (epoch.share) bundles.push((await lineOf(account)).find((bundle) => bundle.hash === named));
  for (const bundle of bundles)
    need(bundle && signingKey(bundle, header.kid)?.alg === header.alg, 'unknown_key');
}

/** @param {any} server @param {any} socket @param {'delivered'|'read'} kind @param {{chat: string, seq: number}} told */
export function mark(server, socket, kind, told) {
  const chat = server.chats.get(told.chat);
  need(chat?.members.has(socket.username), 'not_found');
  const held = chat.marks.get(socket.username);
  held[kind] = Math.max(held[kind], Math.min(told.seq, chat.items.length));
  const receipt = { chat: chat.id, username: socket.username, ...held };
  server.push([...chat.members.keys()], 'receipt', () => receipt, socket);
  return {};
}

/** What a client is behind in. @param {any} server @param {string} username @param {Record<string, number>} have */
export async function sync(server, username, have) {
  const behind = {};
  for (const chat of chatsOf(server, username)) {
    const last = (await historyOf(server, username, chat)).items.at(-1)?.seq ?? 0;
    if (last > (have[chat.id] ?? 0)) behind[chat.id] = last;
  }
  return { behind };
}

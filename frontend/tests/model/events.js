/** What happens in a chat of the model server: epochs are opened, items take their place, everybody is told. */

import { encodeB64u, randomBytes, wrap, wrapLabel } from '../../lib/crypto/index.js';
import { append, historyOf, toldItem } from './items.js';
import { currentOf } from './keys.js';
import { OPENS, viewOf } from './views.js';

/**
 * An event takes its place and is told; in a `combined` chat it opens an epoch with its share.
 * @param {any} server @param {any} chat
 * @param {{kind: string, by: string, usernames: string[], keys?: string, log?: string}} event
 * @param {any} [share] judged
 */
export async function happen(server, chat, { keys = '', log = '', ...event }, share = null) {
  const opens = chat.mode === 'combined' ? share !== null : OPENS.has(event.kind);
  const number = (chat.epochs.at(-1)?.number ?? 0) + (opens ? 1 : 0);
  if (opens) await openEpoch(server, chat, number, share);
  const item = await append(chat, {
    event: { ...event, epoch: number, log, share: share?.hash ?? '', keys },
  });
  await tell(server, chat, item, null);
}

/** S_e is made, wrapped for whoever gets one, and kept only because tests ask for it. */
async function openEpoch(server, chat, number, share) {
  const secret = randomBytes(32);
  const wraps = new Map();
  for (const username of share ? Object.keys(share.recipients) : chat.members.keys()) {
    const { encryption } = await currentOf(server.accounts.get(username));
    const wrapped = encodeB64u(await wrap(encryption.spki, secret, wrapLabel(chat.id, number)));
    wraps.set(username, { kid: encryption.kid, wrapped });
  }
  const opened = {
    number,
    opened_seq: chat.items.length + 1,
    members: [...chat.members.keys()],
    wraps,
    secret,
  };
  chat.epochs.push({ ...opened, share, sent: 0 });
  chat.shareDue = false;
}

/** Pushes an item as each is told it; to whom a lie hides it, nothing comes. */
export async function tell(server, chat, item, but) {
  for (const username of chat.members.keys()) {
    const { items } = await historyOf(server, username, chat);
    const told = items.at(-1);
    if (told !== item && JSON.stringify(told?.body) !== JSON.stringify(item.body)) continue;
    const frame = { ...toldItem(chat, told), before: told.before };
    const whole = item.body.event ? { chat: await viewOf(server, username, chat) } : {};
    const name = item.body.event ? 'event' : 'message';
    server.push([username], name, () => ({ ...frame, ...whole }), but);
  }
}

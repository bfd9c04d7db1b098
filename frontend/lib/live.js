/**
 * What the server pushes, and what is due after every new connection (protocol §7): each push goes to the one part
 * that knows what it means, and whatever was missed meanwhile is fetched. A push that is not of the protocol's form
 * is `bad_answer`, reported on the account, and changes nothing.
 */

import { judgeChat, judgePushed } from './answers.js';
import { isCount, isObject, isUsername, isUuid } from './crypto/index.js';
import { ChatSecError } from './errors.js';

const BACKGROUND_CHATS = 20; // fetched after a connection without being opened

/** @param {unknown} fits @param {string} name */
function check(fits, name) {
  if (!fits) throw new ChatSecError('bad_answer', `pushed ${name} is not of the protocol's form`);
}

/**
 * @param {object} parts
 * @param {(name: string, payload: unknown) => Promise<any>} parts.emit
 * @param {ReturnType<typeof import('./chats.js').createChats>} parts.chats
 * @param {import('./messages.js').Messages} parts.messages
 * @param {ReturnType<typeof import('./outbox.js').createOutbox>} parts.outbox
 * @param {ReturnType<typeof import('./shares.js').createShares>} parts.shares
 * @param {() => Promise<void>} parts.resume  what was under way when the last connection ended
 * @param {ReturnType<typeof import('./presence.js').createPresence>} parts.presence
 * @param {(username: string) => Promise<void>} parts.reloadKeys
 * @param {() => Promise<void>} parts.watch  asks for presence again
 * @param {(work: Promise<unknown>) => void} parts.background
 * @param {() => void} parts.onRevoked
 */
export function createLive({
  emit,
  chats,
  messages,
  outbox,
  shares,
  resume,
  presence,
  reloadKeys,
  watch,
  background,
  onRevoked,
}) {
  /** @type {Record<string, (payload: any) => void|Promise<void>>} */
  const PUSHES = {
    async message(item) {
      check(isUuid(judgePushed(item).chat), 'message');
      if (!chats.get(item.chat)) await learn(item.chat);
      chats.noteItem(item.chat, item.seq, false);
      await messages.push(item.chat, item);
      await delivered(item.chat, item.seq);
    },
    async event(item) {
      const chat = judgeChat(judgePushed(item).chat);
      await learn(chat.id, chat);
      chats.noteItem(chat.id, item.seq, false);
      await messages.push(chat.id, { ...item, chat: chat.id }, chat.epoch);
      background(shares.look(chat.id).then(() => outbox.moved(chat.id)));
      if (['create', 'add'].includes(item.event?.kind)) await watch(); // new people to see
    },
    receipt({ chat, username, delivered: to, read }) {
      check(isUuid(chat) && isUsername(username) && isCount(to) && isCount(read), 'receipt');
      chats.noteMarks(chat, username, { delivered: to, read });
    },
    typing(told) {
      check(isUuid(told.chat) && isUsername(told.username) && typeof told.active === 'boolean', 'typing');
      presence.takeTyping(told);
    },
    presence: (told) => presence.takeChange(told),
    'presence:list': (told) => presence.takeList(told),
    'chat:removed'({ chat }) {
      check(isUuid(chat), 'chat:removed');
      chats.drop(chat);
    },
    async keys({ username }) {
      check(isUsername(username), 'keys');
      await reloadKeys(username);
    },
    'session:revoked': () => onRevoked(),
  };

  /** A chat that is new here, or has changed. @param {string} id @param {any} [chat] */
  async function learn(id, chat) {
    const known = chat ? await chats.take(chat) : await chats.load(id);
    for (const { username, display_name: name } of known.members) presence.name(username, name);
  }

  /** @param {string} chat @param {number} seq */
  async function delivered(chat, seq) {
    await emit('message:delivered', { chat, seq });
  }

  /** @param {string} chat */
  async function catchUp(chat) {
    try {
      await outbox.catchUp(chat);
    } catch (error) {
      if (!(error instanceof ChatSecError) || error.code !== 'not_found') throw error;
      chats.drop(chat); // removed in this very moment
      return;
    }
    background(shares.look(chat));
    const last = messages.stateOf(chat)?.last;
    if (last) background(delivered(chat, last)); // the server gathers marks: others need not wait for it
  }

  return {
    /** @param {string} name @param {any} payload */
    async take(name, payload) {
      check(isObject(payload) || name.startsWith('presence'), name);
      await PUSHES[name](payload);
    },

    /** Everything that was missed, then what waits to be sent. */
    async connected() {
      const { lost } = await chats.refresh();
      for (const { chat } of chats.all()) {
        for (const { username, display_name: name } of chat.members) presence.name(username, name);
      }
      for (const [chat, last] of lost) {
        await chats.warn(chat, ['server_rollback']);
        await outbox.rolledBack(chat, last);
      }
      const have = Object.fromEntries(messages.loaded().map((id) => [id, messages.stateOf(id)?.last ?? 0]));
      const { behind } = await emit('sync', { chats: have });
      check(
        isObject(behind) && Object.entries(behind).every(([id, seq]) => isUuid(id) && isCount(seq)),
        'sync',
      );
      const due = new Set([...messages.loaded(), ...Object.keys(behind).slice(0, BACKGROUND_CHATS)]);
      /** @type {ChatSecError|null} */
      let first = null; // one chat that cannot be caught up does not hold up the others
      for (const chat of due) {
        try {
          if (chats.isMine(chat)) await catchUp(chat);
        } catch (error) {
          if (!(error instanceof ChatSecError)) throw error;
          first ??= error;
        }
      }
      await resume();
      await outbox.reconnected();
      if (first) throw first;
    },
  };
}

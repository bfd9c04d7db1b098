/**
 * Joins the parts that chats are made of, and is what the client offers of them (types.js): starting, changing, opening
 * and leaving chats, and writing in them. Refuses whatever needs a session before there is one (`unauthorized`).
 */

import { createChats } from './chats.js';
import { createEpochs } from './epochs.js';
import { ChatSecError } from './errors.js';
import { createMaterial } from './material.js';
import { createMembership } from './membership.js';
import { createMessages } from './messages.js';
import { createOutbox } from './outbox.js';
import { late } from './late.js';
import { createSealing } from './sealing.js';
import { createShares } from './shares.js';
import { createWriting } from './writing.js';

/**
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {import('./store/port.js').Store} parts.store
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {ReturnType<typeof import('./keyring.js').createKeyring>} parts.keyring
 * @param {ReturnType<typeof import('./state.js').createState>} parts.state
 * @param {import('./runner.js').Runner} parts.runner
 * @param {LockManager|undefined} parts.locks
 * @param {() => number} parts.now
 * @param {(ms: number) => Promise<void>} parts.wait
 * @param {() => string} parts.me
 * @param {() => string} parts.uuid
 * @param {(name: string, payload: unknown) => Promise<any>} parts.emit
 * @param {() => boolean} parts.online
 * @param {() => void} parts.needSession  throws without one
 * @param {(work: Promise<unknown>) => void} parts.background
 * @param {(chat: string) => void} parts.onChange
 * @param {() => Promise<void>} parts.keysSettled  no change of the own keys is under way any more
 * @param {() => Promise<'server'|'combined'>} parts.keyMode  of new chats, by the server's setting
 * @param {number} [parts.pageSize]
 * @param {number} [parts.epochMessages]
 */
export function createConversations({
  api,
  store,
  pins,
  keyring,
  state,
  runner,
  locks,
  now,
  wait,
  me,
  uuid,
  emit,
  online,
  needSession,
  background,
  onChange,
  keysSettled,
  keyMode,
  pageSize,
  epochMessages,
}) {
  const onStored = () => state.touch();
  const chats = createChats({ api, store, me, now, onChange, onStored });
  const membership = createMembership({ api, pins, chats });
  const opener = createEpochs({ api, pins, keyring, chats, me });
  const material = createMaterial({ pins, keyring, chats, membership, opener });
  /** @type {import('./messages.js').Messages} */
  const messages = createMessages({
    api,
    store,
    pins,
    chats,
    membership,
    material,
    me,
    onChange,
    onStored,
    async onRollback(chat, last) {
      await state.forget(chat);
      await outbox.rolledBack(chat, last);
    },
    pageSize,
  });
  const making = late(async () => {
    const { createChanges } = await import('./changes.js');
    return createChanges({
      api,
      store,
      pins,
      keyring,
      runner,
      chats,
      messages,
      locks,
      now,
      wait,
      me,
      uuid,
      keysSettled,
    });
  });
  const changes = making.use;
  const shares = createShares({ pins, chats, messages, changes, wait, me, epochMessages });
  const sealing = createSealing({ store, keyring, runner, messages, chats, shares, me });
  const outbox = createOutbox({
    store,
    emit,
    online,
    keyring,
    sealing,
    messages,
    chats,
    shares,
    keysSettled,
    locks,
    now,
    wait,
    me,
    onChange,
  });
  const writing = createWriting({ chats, messages, outbox, keyring, me, uuid, needSession, background });

  /** @param {string} id */
  async function seeChange(id) {
    if (messages.stateOf(id)) await messages.catchUp(id);
    await outbox.moved(id);
  }

  /** Would others stay without an owner? The clients of `combined` chats name one as they leave.
   * @param {import('./answers.js').Chat} chat */
  function isOrphaned({ key_mode: mode, members }) {
    const others = members.filter(({ username }) => username !== me());
    const owner = members.some(({ username, role }) => username === me() && role === 'owner');
    return mode === 'server' && owner && others.length > 0 && others.every(({ role }) => role !== 'owner');
  }

  const combined = () => chats.all().filter(({ chat, removed }) => !removed && chat.key_mode === 'combined');

  /** For each of the user's `combined` chats; one that fails does not hold up the others, and is told at the end. From one
   * that is not found the user was removed in this very moment.
   * @param {(id: string) => Promise<unknown>} work */
  async function forEach(work) {
    /** @type {ChatSecError|null} */
    let first = null;
    for (const { chat } of combined()) {
      try {
        await work(chat.id);
      } catch (error) {
        if (!(error instanceof ChatSecError)) throw error;
        if (error.code === 'not_found') chats.drop(chat.id);
        else first ??= error;
      }
    }
    if (first) throw first;
  }

  return {
    chats,
    messages,
    outbox,
    shares,

    /** What was under way when the last connection ended goes on. */
    async resume() {
      for (const { chat } of combined())
        if (await store.get('chats', `${chat.id} change`)) background(changes.resume(chat.id));
    },
    /** The own keys are new: whoever renews them posts the shares that are due (protocol §2). */
    renewed: () =>
      forEach(async (id) => {
        await messages.catchUp(id);
        await pins.loadChat(id);
        await shares.look(id, { atOnce: true });
      }),
    /** Somebody has other keys: shares that this makes due are posted, and what waited for them may go. */
    async keysMoved() {
      for (const id of messages.loaded()) background(shares.look(id));
      await outbox.pumpAll();
    },
    /** Before the account ends. Throws `last_owner`, before anything is left, where a `server` chat would have none. */
    async leaveAll() {
      const orphan = chats.all().find(({ chat, removed }) => !removed && isOrphaned(chat));
      if (orphan) throw new ChatSecError('last_owner', 'name another owner of the chat first');
      await forEach((id) => changes.leave(id));
    },
    clear() {
      for (const part of [outbox, messages, membership, opener, chats, shares]) part.clear();
      making.forget();
    },

    entries: {
      /** @type {import('./types.js').Client['startChat']} */
      async startChat({ usernames, name, keyMode: asked }) {
        needSession();
        const id = await changes.start({ usernames, name }, asked ?? (await keyMode()));
        await chats.accept(id); // who starts a chat has chosen how its keys are made
        return id;
      },
      /** @type {import('./types.js').Client['eraseChat']} */
      async eraseChat(id) {
        await chats.erase(id);
        await state.forget(id);
      },
      /** @type {import('./types.js').Client['leaveChat']} */
      async leaveChat(id) {
        await changes.leave(id);
        await state.forget(id);
      },
      /** @type {import('./types.js').Client['changeChat']} */
      async changeChat(id, change) {
        await changes.change(id, change);
        await seeChange(id);
      },
      /** @type {import('./types.js').Client['confirmKeys']} */
      async confirmKeys(id, username) {
        await changes.confirm(id, username);
        await seeChange(id);
      },
      /** @type {import('./types.js').Client['replaceShare']} */
      async replaceShare(id) {
        await shares.replace(id);
        await seeChange(id);
      },
      /** @type {import('./types.js').Client['openChat']} */
      async openChat(id) {
        needSession();
        messages.show(id, true);
        await chats.load(id);
        await outbox.catchUp(id);
        background(shares.look(id));
        background(outbox.pump(id));
      },
      /** @param {string} id */
      loadOlder: (id) => messages.loadOlder(id),
      /** @param {string} id */
      closeChat: (id) => messages.show(id, false),
      /** @param {string} id */
      acceptServerMade: (id) => chats.accept(id),
      /** @type {import('./types.js').Client['markRead']} */
      async markRead(chat) {
        const seq = messages.stateOf(chat)?.last ?? 0;
        if (seq === 0 || (chats.get(chat)?.read[me()] ?? 0) >= seq) return;
        await emit('message:read', { chat, seq });
        chats.noteMarks(chat, me(), { delivered: seq, read: seq });
      },
      /** @type {import('./types.js').Client['typing']} */
      async typing(chat, active) {
        if (online()) await emit('typing', { chat, active });
      },
      ...writing,
    },
  };
}

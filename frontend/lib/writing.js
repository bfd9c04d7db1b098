/**
 * What the user writes into a chat: texts with replies and attachments, edits, deletions, reactions. Each becomes a
 * payload (protocol §5) and goes the outbox's way.
 *
 * Refuses a first message into somebody else's `server` chat before the user's yes (`consent_needed`), a chat whose
 * mode changed (`mode_changed`), and to edit or delete what is not the user's own (`forbidden`).
 */

import { ChatSecError } from './errors.js';

/**
 * @param {object} parts
 * @param {ReturnType<typeof import('./chats.js').createChats>} parts.chats
 * @param {import('./messages.js').Messages} parts.messages
 * @param {ReturnType<typeof import('./outbox.js').createOutbox>} parts.outbox
 * @param {ReturnType<typeof import('./keyring.js').createKeyring>} parts.keyring
 * @param {() => string} parts.me
 * @param {() => string} parts.uuid
 * @param {() => void} parts.needSession  throws without one
 * @param {(work: Promise<unknown>) => void} parts.background
 */
export function createWriting({ chats, messages, outbox, keyring, me, uuid, needSession, background }) {
  /** @param {string} chat @param {{type: string, [field: string]: any}} payload @param {string} [alg] */
  async function write(chat, payload, alg = keyring.preferred()) {
    needSession();
    if (chats.needsConsent(chat)) throw new ChatSecError('consent_needed');
    chats.checkMode(chat);
    const id = uuid();
    await outbox.add(chat, id, payload, alg);
    background(outbox.pump(chat));
    return id;
  }

  /** Only what the author says of their own counts for anybody (protocol §5). @param {string} chat @param {string} id */
  function needOwn(chat, id) {
    const verdicts = messages.stateOf(chat)?.verdicts ?? [];
    const own = verdicts.some(
      ({ facts, reason }) =>
        facts.kind === 'message' && !reason && facts.header?.id === id && facts.header.from === me(),
    );
    if (!own) throw new ChatSecError('forbidden', 'not a message of your own that is loaded');
  }

  return {
    /** @type {import('./types.js').Client['send']} */
    send: (chat, { body, reply_to: reply, attachments }, alg) =>
      write(
        chat,
        {
          type: 'text',
          body,
          ...(reply && { reply_to: reply }),
          ...(attachments && attachments.length > 0 && { attachments }),
        },
        alg,
      ),
    /** @type {import('./types.js').Client['editMessage']} */
    async editMessage(chat, target, body) {
      needOwn(chat, target);
      await write(chat, { type: 'edit', target, body });
    },
    /** @type {import('./types.js').Client['deleteMessage']} */
    async deleteMessage(chat, target) {
      needOwn(chat, target);
      await write(chat, { type: 'delete', target });
    },
    /** @type {import('./types.js').Client['react']} */
    async react(chat, target, emoji, on) {
      await write(chat, { type: 'reaction', target, emoji, on });
    },
    /** @type {import('./types.js').Client['retry']} */
    retry: (chat, id) => outbox.retry(chat, id),
    /** @type {import('./types.js').Client['discard']} */
    discard: (chat, id) => outbox.discard(chat, id),
  };
}

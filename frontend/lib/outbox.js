/**
 * What the user sends: kept until the server has it for good, one message at a time per chat and lane (protocol §5).
 *
 * The final bytes are stored before the first try and are the same at every try; the next message is sealed only after
 * an ack or a definite refusal, and a time-out is neither. A lock per lane spans seal → ack, so that two tabs do not fork
 * a chain. What waits unsealed is encrypted under a key that cannot be read. Refuses what sealing.js refuses; what waits
 * for a person's yes stays in the queue.
 */

import { judgeAck } from './answers.js';
import { withLock } from './api.js';
import { aesGcmDecrypt, decodeText, encodeText, MAX_PAYLOAD } from './crypto/index.js';
import { ChatSecError } from './errors.js';
import { unsentOf } from './unsent.js';

const KEPT = 20; // acknowledged ones per chat, so that a server that loses them gets them again
const PATIENCE = 5; // tries in a row that may end without any progress
const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 30_000;

/** Neither ack nor refusal: the same bytes again. */
const NO_ANSWER = ['offline', 'timeout', 'unavailable', 'bad_answer', 'rate_limited'];
const SESSION_OVER = ['unauthorized', 'token_expired'];

/**
 * @typedef {Object} Entry
 * @property {string} chat
 * @property {string} id
 * @property {number} order
 * @property {string} at
 * @property {string} alg
 * @property {{iv: Uint8Array, ciphertext: Uint8Array}} payload encrypted under the storage key
 * @property {'queued'|'sealed'|'acked'|'failed'} state
 * @property {import('./sealing.js').Sealed|null} sealed
 * @property {string|null} reason
 * @property {number|null} seq  of the ack
 */

const keyOf = (/** @type {{chat: string, id: string}} */ { chat, id }) => `${chat} ${id}`;
const aadOf = (/** @type {{chat: string, id: string}} */ { chat, id }) =>
  encodeText(`chatsec/outbox/v1\n${chat}\n${id}`);

/**
 * @param {object} parts
 * @param {import('./store/port.js').Store} parts.store
 * @param {(name: string, payload: unknown) => Promise<any>} parts.emit
 * @param {() => boolean} parts.online
 * @param {ReturnType<typeof import('./keyring.js').createKeyring>} parts.keyring
 * @param {ReturnType<typeof import('./sealing.js').createSealing>} parts.sealing
 * @param {import('./messages.js').Messages} parts.messages
 * @param {ReturnType<typeof import('./chats.js').createChats>} parts.chats
 * @param {ReturnType<typeof import('./shares.js').createShares>} parts.shares
 * @param {() => Promise<void>} parts.keysSettled  no change of the own keys is under way any more
 * @param {LockManager|undefined} parts.locks
 * @param {() => number} parts.now
 * @param {(ms: number) => Promise<void>} parts.wait
 * @param {() => string} parts.me
 * @param {(chat: string) => void} parts.onChange
 */
export function createOutbox({
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
}) {
  /** @type {Map<string, Entry>} as this client last wrote or read them */
  const entries = new Map();
  /** @type {Map<string, any>} plaintexts, in memory only */
  const payloads = new Map();
  /** @type {Set<string>} chats that were caught up since the connection began */
  const fresh = new Set();
  /** @type {Map<string, Promise<void>>} */
  const running = new Map();
  let lastOrder = 0;

  /** @param {Entry} entry @param {import('./store/port.js').Op[]} [others] */
  async function save(entry, others = []) {
    await store.write([{ kind: 'outbox', id: keyOf(entry), value: entry }, ...others]);
    entries.set(keyOf(entry), entry);
    onChange(entry.chat);
  }

  /** @param {Entry} entry */
  async function remove(entry) {
    await store.write([{ kind: 'outbox', id: keyOf(entry), remove: true }]);
    entries.delete(keyOf(entry));
    onChange(entry.chat);
  }

  /** @param {Entry} entry */
  async function payloadOf(entry) {
    const held = payloads.get(keyOf(entry));
    if (held) return held;
    const { iv, ciphertext } = entry.payload;
    const bytes = await aesGcmDecrypt(keyring.storageKey(), iv, ciphertext, aadOf(entry));
    const payload = JSON.parse(decodeText(bytes));
    payloads.set(keyOf(entry), payload);
    return payload;
  }

  /** Brings back what waits; what does not open can never be sent, and says so. @param {Entry} entry */
  async function recall(entry) {
    try {
      await payloadOf(entry);
    } catch (error) {
      if (!(error instanceof ChatSecError)) throw error;
      payloads.set(keyOf(entry), null);
      await fail(entry, error.code);
    }
  }

  /** What is stored for a chat, by another tab too, which may also have sent or dropped some. @param {string} chat */
  async function read(chat) {
    const known = [...entries.values()].filter((entry) => entry.chat === chat);
    const all = /** @type {Entry[]} */ (await store.list('outbox')).filter((entry) => entry.chat === chat);
    const there = new Map(all.map((entry) => [keyOf(entry), entry]));
    for (const entry of known) if (!there.has(keyOf(entry))) entries.delete(keyOf(entry));
    for (const [key, entry] of there) entries.set(key, entry);
    if (known.some((entry) => there.get(keyOf(entry))?.state !== entry.state)) onChange(chat);
    return all.sort((a, b) => a.order - b.order);
  }

  // ---- sealing ----

  /** @param {string} chat */
  async function syncOnce(chat) {
    if (fresh.has(chat) && messages.stateOf(chat)) return;
    await catchUp(chat);
    fresh.add(chat);
  }

  /** @param {Entry} entry @returns {Promise<Entry>} with its final bytes, stored */
  async function seal(entry) {
    await syncOnce(entry.chat);
    const sealed = await sealing.seal(entry, await payloadOf(entry));
    const next = /** @type {Entry} */ ({ ...entry, state: 'sealed', sealed });
    await save(next);
    return next;
  }

  // ---- sending ----

  /** @param {Entry} entry @param {any} ack */
  async function acknowledge(entry, ack) {
    const { envelope, hash, dev, epoch, n } = /** @type {NonNullable<Entry['sealed']>} */ (entry.sealed);
    /** @type {import('./sealing.js').Lane} */
    const lane = { dev, epoch, n, hash, seq: ack.seq };
    sealing.noteOwn(dev);
    await save({ ...entry, state: 'acked', seq: ack.seq, reason: null }, [
      { kind: 'chats', id: `${entry.chat} lane`, value: lane },
    ]);
    const { seq, received_at, before } = ack;
    chats.noteItem(entry.chat, seq, true);
    try {
      await messages.push(entry.chat, { ...envelope, seq, received_at, before });
    } catch (error) {
      if (!(error instanceof ChatSecError)) throw error;
      fresh.delete(entry.chat); // it is sent for good; the next catch-up brings it into view
    }
    await prune(entry.chat);
  }

  /** @param {string} chat */
  async function prune(chat) {
    const acked = (await read(chat)).filter(({ state }) => state === 'acked');
    acked.sort((a, b) => (b.seq ?? 0) - (a.seq ?? 0));
    for (const entry of acked.slice(KEPT)) await remove(entry);
  }

  /** @param {Entry} entry @param {string} reason */
  const fail = (entry, reason) => save({ ...entry, state: 'failed', reason, sealed: null });
  /** @param {Entry} entry */
  const unseal = (entry) => save({ ...entry, state: 'queued', reason: null, sealed: null });

  /**
   * After a refusal: seals anew where the chat moved, else gives up on this one.
   * @param {Entry} entry @param {ChatSecError} error
   */
  async function refused(entry, error) {
    const { sealed, chat } = entry;
    if (!sealed) return fail(entry, error.code);
    if (error.code === 'stale_epoch') {
      await messages.catchUp(chat); // the item that opened the epoch has to be held first
      const moved = (messages.stateOf(chat)?.epoch?.number ?? 0) > sealed.epoch;
      return moved ? unseal(entry) : fail(entry, 'stale_epoch');
    }
    if (error.code === 'share_due') {
      await shares.answer(chat);
      const moved = (messages.stateOf(chat)?.epoch?.number ?? 0) > sealed.epoch;
      return moved ? unseal(entry) : fail(entry, 'share_due');
    }
    if (error.code === 'unknown_key') {
      await keysSettled(); // they were being renewed
      return sealing.isOutdated(entry.alg, sealed) ? unseal(entry) : fail(entry, 'unknown_key');
    }
    if (error.code === 'invalid') {
      await messages.catchUp(chat);
      const lost = sealed.seen > (messages.stateOf(chat)?.last ?? sealed.seen);
      return lost ? unseal(entry) : fail(entry, 'invalid'); // it spoke of items that the server lost
    }
    return fail(entry, error.code);
  }

  /** One step towards an ack: sealing, sending, or dealing with a refusal. @param {Entry} entry */
  async function advance(entry) {
    let current = entry;
    try {
      if (!current.sealed) current = await seal(current);
      const ack = judgeAck(await emit('message:send', current.sealed?.envelope), current);
      await acknowledge(current, ack);
    } catch (error) {
      if (
        !(error instanceof ChatSecError) ||
        NO_ANSWER.includes(error.code) ||
        SESSION_OVER.includes(error.code) ||
        error.extra.blocked
      )
        throw error;
      await refused(current, error);
    }
  }

  /** @param {Entry} entry @returns {Promise<'done'|'again'|'stop'>} */
  async function tryOnce(entry) {
    try {
      await advance(entry);
      return 'done';
    } catch (error) {
      if (!(error instanceof ChatSecError)) throw error;
      if (SESSION_OVER.includes(error.code) || error.extra.blocked) return 'stop';
      if (!NO_ANSWER.includes(error.code)) {
        await fail(entry, error.code); // looking at the chat after a refusal was refused itself
        return 'done';
      }
      if (!online()) return 'stop';
      await wait(1000 * Number(error.extra.retry_after ?? 0));
      return 'again';
    }
  }

  /** Sends what waits in a chat, in order. @param {string} chat */
  async function drain(chat) {
    let fruitless = 0;
    while (online()) {
      const next = (await read(chat)).find(isWaiting);
      if (!next) return;
      const outcome = await tryOnce(next);
      if (outcome === 'stop') return;
      fruitless = outcome === 'again' ? fruitless + 1 : 0;
      if (fruitless > 0)
        await wait(Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(fruitless, PATIENCE)));
    }
  }

  /** @param {string} chat @returns {Promise<void>} */
  function pump(chat) {
    if (!online()) return Promise.resolve();
    const before = running.get(chat);
    if (before) return before;
    const work = withLock(locks, `chatsec-lane-${me()}-${chat}`, () => drain(chat)).finally(() => {
      running.delete(chat);
    });
    running.set(chat, work);
    return work;
  }

  /** Everything newer; own messages that were acknowledged and are not in their place are sent again. @param {string} chat */
  async function catchUp(chat) {
    const before = await read(chat); // what is acknowledged while it loads may well come after
    await messages.catchUp(chat);
    const state = messages.stateOf(chat);
    if (!state) return;
    for (const entry of before) {
      const { seq, sealed } = entry;
      if (entry.state !== 'acked' || seq === null || !sealed || seq < state.first) continue;
      const there = state.verdicts[seq - state.first]?.facts.hash === sealed.hash;
      if (there) continue;
      await chats.warn(chat, ['server_rollback']);
      await requeue(entry);
    }
  }

  /** @param {Entry} entry */
  async function requeue(entry) {
    const again = /** @type {Entry} */ ({ ...entry, state: 'queued', sealed: null, seq: null });
    await save(again, [{ kind: 'chats', id: `${entry.chat} lane`, remove: true }]);
  }

  const isWaiting = (/** @type {Entry} */ { state }) => state === 'queued' || state === 'sealed';

  /** Everything that waits, in every chat. */
  async function pumpAll() {
    const waiting = [...entries.values()].filter(isWaiting);
    await Promise.all([...new Set(waiting.map(({ chat }) => chat))].map(pump));
  }

  return {
    /** After log-in or restore: reads what waits. */
    async load() {
      for (const entry of /** @type {Entry[]} */ (await store.list('outbox'))) {
        entries.set(keyOf(entry), entry);
        lastOrder = Math.max(lastOrder, entry.order);
        if (entry.state !== 'acked') await recall(entry);
      }
    },
    /**
     * Takes a payload; it is stored, and stands in the view, once this resolves.
     * @param {string} chat @param {string} id @param {{type: string, [field: string]: any}} payload @param {string} alg
     */
    async add(chat, id, payload, alg) {
      const bytes = encodeText(JSON.stringify(payload));
      if (bytes.length > MAX_PAYLOAD) throw new ChatSecError('too_large', 'the message is too long');
      keyring.signer(alg);
      lastOrder = Math.max(lastOrder + 1, now());
      /** @type {Entry} */
      const entry = {
        chat,
        id,
        order: lastOrder,
        at: new Date(now()).toISOString(),
        alg,
        payload: await keyring.seal(bytes, aadOf({ chat, id })),
        state: 'queued',
        sealed: null,
        reason: null,
        seq: null,
      };
      payloads.set(keyOf(entry), payload);
      await save(entry);
    },
    pump,
    /** A new connection: everything is checked against the server before the next send. */
    async reconnected() {
      fresh.clear();
      await pumpAll();
    },
    pumpAll,
    /** The chat moved: what waited for that may go. @param {string} chat */
    async moved(chat) {
      if ([...entries.values()].some((entry) => entry.chat === chat && isWaiting(entry))) await pump(chat);
    },
    catchUp,
    /** The server has nothing above `last`. @param {string} chat @param {number} last */
    async rolledBack(chat, last) {
      for (const entry of await read(chat)) {
        if (entry.state === 'acked' && (entry.seq ?? 0) > last) await requeue(entry);
      }
    },
    /** @param {string} chat @param {string} id */
    async retry(chat, id) {
      const entry = entries.get(keyOf({ chat, id }));
      if (entry?.state === 'failed') await unseal(entry);
      await pump(chat);
    },
    /** @param {string} chat @param {string} id */
    async discard(chat, id) {
      const entry = entries.get(keyOf({ chat, id }));
      if (entry?.state === 'failed') await remove(entry);
    },
    /** What of a chat its timeline does not show (unsent.js). @param {string} chat */
    view: (chat) =>
      unsentOf(
        [...entries.values()].filter((entry) => entry.chat === chat && payloads.has(keyOf(entry))),
        (entry) => payloads.get(keyOf(entry)),
        { me: me(), last: messages.stateOf(chat)?.last ?? null },
      ),
    clear() {
      for (const each of [entries, payloads, sealing, fresh, running]) each.clear();
      lastOrder = 0;
    },
  };
}

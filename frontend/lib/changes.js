/**
 * Every change of a chat that this client makes: in `server` chats a request; in `combined` chats with the entry and the
 * share that §4's table has for it, made anew as often as the chat is seen to have moved meanwhile.
 *
 * Refuses what nextEntry and signing.js refuse, before anything is sent; a new chat of another mode than was asked for is
 * `mode_changed`.
 */

import { judgeChat } from './answers.js';
import { withLock } from './api.js';
import { confirmed, nextEntry } from './crypto/index.js';
import { ChatSecError } from './errors.js';
import { createRequests, WITH_SHARE } from './requests.js';
import { createSigning } from './signing.js';
import { createTurns } from './turns.js';

const TRIES = 4; // of one change, each after something else was seen to have moved
const LOST_ANSWER_TRIES = 3;

/**
 * @typedef {import('./requests.js').Place} Place
 * @typedef {import('./requests.js').Request} Request
 * @typedef {{op: string, usernames?: string[], role?: 'owner'|'member', name?: string|null}} Wanted
 */

/**
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {import('./store/port.js').Store} parts.store
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {ReturnType<typeof import('./keyring.js').createKeyring>} parts.keyring
 * @param {import('./runner.js').Runner} parts.runner
 * @param {ReturnType<typeof import('./chats.js').createChats>} parts.chats
 * @param {import('./messages.js').Messages} parts.messages
 * @param {LockManager|undefined} parts.locks
 * @param {() => number} parts.now
 * @param {(ms: number) => Promise<void>} parts.wait
 * @param {() => string} parts.me
 * @param {() => string} parts.uuid
 * @param {() => Promise<void>} parts.keysSettled  no change of the own keys is under way any more
 */
export function createChanges({
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
}) {
  const signing = createSigning({ pins, keyring, runner, now, me });
  const requests = createRequests({ api, store, pins, chats, messages, signing, wait, keysSettled });
  const inTurn = createTurns(); // by chat
  const lineOf = (/** @type {string} */ username) => pins.get(username)?.line;
  const isCombined = (/** @type {string} */ id) => chats.get(id)?.key_mode === 'combined';

  /** One change of a chat at a time, over all tabs. @template T @param {string} id @param {() => Promise<T>} work
   * @returns {Promise<T>} */
  const alone = (id, work) => inTurn(id, () => withLock(locks, `chatsec-change-${me()}-${id}`, work));

  /**
   * @param {string} id @param {Place} place @param {Wanted} wanted
   * @returns {Promise<Request>} signed
   */
  async function make(id, { head, gone, epoch }, { op, usernames, role, name }) {
    if (op === 'add' || op === 'keys') signing.needsYes(usernames ?? []);
    if (!isConfirmed(head)) throw new ChatSecError('forbidden', 'your own new keys are not confirmed yet');
    const body = {
      kind: op,
      ...(usernames && { usernames }),
      ...(role && { role }),
      ...(name !== undefined && { name }),
    };
    if (op === 'rekey') return { ...body, client_share: await signing.signShare(id, epoch + 1, head) };
    const next = nextEntry({ op, by: me(), before: head, lineOf, usernames, role, name, gone });
    const { object, entry } = await signing.signEntry(id, next);
    const share = WITH_SHARE.includes(op) && (await signing.signShare(id, epoch + 1, entry));
    return { ...body, membership: object, ...(share && { client_share: share }) };
  }

  /**
   * One change, made anew as often as the chat is seen to have moved meanwhile.
   * @param {string} id @param {(place: Place) => Wanted|null} want null: nothing is left to do
   * @param {() => boolean} [mayRenew] asked before another share is signed for the same entry
   */
  const perform = (id, want, mayRenew) =>
    alone(id, async () => {
      await requests.settle(id, mayRenew);
      for (let tries = 1; ; tries++) {
        const place = await requests.look(id);
        const wanted = want(place);
        if (!wanted) return;
        // Who is gone stands in the way of every share but that of the entry that takes them out.
        const first = place.gone.size > 0 && WITH_SHARE.includes(wanted.op) && wanted.op !== 'retire';
        const step = first ? retirement(place) : wanted;
        const outcome = await requests.send(id, await make(id, place, step), mayRenew ?? (() => true));
        if (outcome === 'done' && !first) return;
        if (tries >= TRIES) throw new ChatSecError('epoch_conflict', 'the chat kept moving');
      }
    });

  /** Without what somebody else has done meanwhile; null if nothing is left. @param {Place} place @param {Wanted} wanted
   * @returns {Wanted|null} */
  function stillWanted({ head, gone }, wanted) {
    const { op, usernames = [], role } = wanted;
    const member = (/** @type {string} */ who) => (gone.has(who) ? undefined : head.members.get(who));
    /** @type {Record<string, (who: string) => boolean>} */
    const due = {
      add: (who) => !member(who),
      remove: (who) => member(who) !== undefined,
      role: (who) => (member(who)?.role ?? role) !== role,
    };
    if (!Object.hasOwn(due, op)) return wanted;
    const left = usernames.filter(due[op]);
    return left.length > 0 ? { ...wanted, usernames: left } : null;
  }

  /** Are the own keys those that the log stands by? @param {import('./crypto/membership.js').Entry} head */
  function isConfirmed({ members }) {
    const line = lineOf(me());
    return line !== undefined && confirmed(line, members.get(me())?.keys ?? '');
  }

  /** @param {string} id */
  async function canSign(id) {
    try {
      const { head } = await requests.look(id);
      signing.author();
      return isConfirmed(head);
    } catch (error) {
      const cannot = ['unavailable', 'identity_reset', 'keys_unavailable', 'mode_changed'];
      if (error instanceof ChatSecError && cannot.includes(error.code)) return false;
      throw error;
    }
  }

  /** @param {Place} place @returns {Wanted} */
  const retirement = ({ gone }) => ({ op: 'retire', usernames: [...gone].sort() });

  /** A new chat with entry 1 and the first share. @param {string} id @param {{usernames: string[], name?: string}} wanted */
  async function firstOf(id, { usernames, name }) {
    await pins.load(me());
    for (const username of usernames) await pins.load(username);
    signing.needsYes(usernames);
    const next = nextEntry({ op: 'create', by: me(), before: null, lineOf, usernames, name: name ?? null });
    const { object, entry } = await signing.signEntry(id, next);
    const body = { id, members: usernames, ...(name && { name }), key_mode: 'combined', membership: object };
    return { ...body, client_share: await signing.signShare(id, 1, entry) };
  }

  /** @param {string} id @param {{usernames: string[], name?: string}} wanted */
  const serverMade = (id, { usernames, name }) => ({
    id,
    members: usernames,
    ...(name && { name }),
    key_mode: 'server',
  });

  /** The same request again gets the same answer. @param {Record<string, unknown>} body */
  async function create(body) {
    for (let tries = 1; ; tries++) {
      try {
        return judgeChat(await api.request('POST', '/chats', { body }));
      } catch (error) {
        const lost = error instanceof ChatSecError && error.code === 'timeout';
        if (!lost || tries >= LOST_ANSWER_TRIES) throw error;
      }
    }
  }

  return {
    /**
     * @param {{usernames: string[], name?: string}} wanted @param {string} mode
     * @returns {Promise<string>} id; throws `mode_changed` for another chat than was asked for
     */
    async start({ usernames, name }, mode) {
      const others = [...new Set(usernames)].filter((username) => username !== me());
      const wanted = { usernames: others, ...(name && { name }) };
      for (let tries = 1; ; tries++) {
        const id = uuid();
        try {
          const chat = await create(mode === 'combined' ? await firstOf(id, wanted) : serverMade(id, wanted));
          if (chat.id !== id || chat.key_mode !== mode)
            throw new ChatSecError('mode_changed', 'another chat than was asked for');
          await chats.take(chat);
          return id;
        } catch (error) {
          // Somebody's keys moved in this moment; entry 1 of that id stays the only one that was ever signed.
          const moved = error instanceof ChatSecError && error.code === 'epoch_conflict';
          if (!moved || tries >= TRIES) throw error;
        }
      }
    },

    /** @param {string} id @param {import('./types.js').ChatChange} change */
    async change(id, { kind, usernames, role, name }) {
      if (isCombined(id)) {
        for (const username of kind === 'add' ? (usernames ?? []) : []) await pins.load(username);
        return perform(id, (place) => stillWanted(place, { op: kind, usernames, role, name }));
      }
      const named = {
        ...(usernames && { usernames }),
        ...(role && { role }),
        ...(name !== undefined && { name }),
      };
      const chat = await api.request('POST', `/chats/${id}/events`, { body: { kind, ...named } });
      if (chat) await chats.take(chat);
      return undefined;
    },

    /** Who cannot sign leaves without an entry. @param {string} id */
    async leave(id) {
      if (isCombined(id) && (await canSign(id)))
        return perform(id, ({ head }) => (head.members.has(me()) ? { op: 'leave' } : null));
      await api.request('POST', `/chats/${id}/events`, { body: { kind: 'leave' } });
      chats.drop(id);
      return undefined;
    },

    /** New keys of a member after a reset, on the user's tap. @param {string} id @param {string} username */
    confirm: (id, username) =>
      perform(id, ({ head }) => {
        const line = lineOf(username);
        const done = line && confirmed(line, head.members.get(username)?.keys ?? '');
        return done ? null : { op: 'keys', usernames: [username] };
      }),

    /** A new share for the chat as it is, with who is gone taken out first.
     * @param {string} id @param {() => boolean} wanted @param {() => boolean} mayRenew as in requests.js */
    renew: (id, wanted, mayRenew) =>
      perform(
        id,
        (place) => (!wanted() ? null : place.gone.size > 0 ? retirement(place) : { op: 'rekey' }),
        mayRenew,
      ),

    /** What was under way when the connection ended. @param {string} id */
    resume: (id) => alone(id, () => requests.settle(id)),
  };
}

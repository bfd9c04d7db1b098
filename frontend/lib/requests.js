/**
 * Changes of a `combined` chat on their way to the server: sent, and what became of them found out (protocol §4).
 *
 * Another entry n is signed only after a different valid one was seen, or after a definite refusal whose cause was
 * checked here: until then the same bytes are kept and sent again, after a reload too. An entry that still stands after a
 * conflict goes with a new share and a fresh C; a share alone binds nobody.
 */

import { confirmed, currentLink, differenceOf, judgeEntry, readEntry } from './crypto/index.js';
import { ChatSecError } from './errors.js';

const NO_ANSWER = ['offline', 'timeout', 'unavailable', 'bad_answer'];
const CONFLICTS = ['membership_conflict', 'epoch_conflict'];
const LOST_ANSWER_TRIES = 3;
const DELAY_MS = 500;
export const WITH_SHARE = ['create', 'add', 'remove', 'keys', 'retire', 'rekey'];

/**
 * @typedef {import('./crypto/membership.js').Entry} Entry
 * @typedef {import('./timeline/combined.js').Combined} Combined
 * @typedef {Object} Place  where a chat stands, as judged here
 * @property {Entry} head
 * @property {ReadonlySet<string>} gone
 * @property {number} epoch
 * @property {Combined} combined
 *
 * @typedef {Object} Request  as it travels and as it is stored until its fate is known
 * @property {string} kind
 * @property {string[]} [usernames]
 * @property {'owner'|'member'} [role]
 * @property {string|null} [name]
 * @property {{protected: string, signature: string}} [membership]
 * @property {any} [client_share]
 */

/**
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {import('./store/port.js').Store} parts.store
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {ReturnType<typeof import('./chats.js').createChats>} parts.chats
 * @param {import('./messages.js').Messages} parts.messages
 * @param {ReturnType<typeof import('./signing.js').createSigning>} parts.signing
 * @param {(ms: number) => Promise<void>} parts.wait
 * @param {() => Promise<void>} parts.keysSettled  no change of the own keys is under way any more
 */
export function createRequests({ api, store, pins, chats, messages, signing, wait, keysSettled }) {
  const lineOf = (/** @type {string} */ username) => pins.get(username)?.line;

  // ---- looking ----

  /** The chat as it is now, judged, with everybody's bundles as they are now. @param {string} id @returns {Promise<Place>} */
  async function look(id) {
    chats.checkMode(id);
    const { members } = await chats.load(id);
    await messages.catchUp(id);
    await pins.loadChat(id);
    const here = new Set(members.map(({ username }) => username));
    const { head: last, partial, gone: known } = messages.stateOf(id)?.combined ?? {};
    // Somebody is gone whose leaving is not among the items held: it is looked for, not believed.
    if (partial && [...(last?.members.keys() ?? [])].some((who) => !here.has(who) && !known?.has(who)))
      await messages.reachOpening(id);
    const { combined, epoch } = messages.stateOf(id) ?? {};
    if (!combined?.head || !combined.exact || !epoch)
      throw new ChatSecError('unavailable', 'where the membership of the chat stands is not known');
    return { head: combined.head, gone: combined.gone, epoch: epoch.number, combined };
  }

  /** Is this entry still the next one, by all that is known now? @param {Place} place @param {Entry} entry */
  function stands({ head, gone }, entry) {
    try {
      judgeEntry(entry, { before: head, lineOf, gone: new Set(gone) });
    } catch (error) {
      if (error instanceof ChatSecError) return false;
      throw error;
    }
    const { came, keys } = differenceOf(head, entry);
    const sound = (/** @type {string} */ who, /** @type {Entry} */ by) => {
      const line = lineOf(who);
      return line !== undefined && confirmed(line, by.members.get(who)?.keys ?? '');
    };
    // While somebody waits to be retired, only a `retire` can be taken.
    const waits = WITH_SHARE.includes(entry.op) && [...gone].some((who) => entry.members.has(who));
    return !waits && sound(entry.by, head) && [...came, ...keys].every((who) => sound(who, entry));
  }

  /** Is it signed with a key that its author still has? @param {Entry} entry */
  function isCurrent({ by, kid }) {
    const line = lineOf(by);
    return Boolean(line && currentLink(line)?.bundle.signing.some((key) => key.kid === kid));
  }

  // ---- what is under way ----

  const recordOf = (/** @type {string} */ id) => `${id} change`;

  /** @param {string} id @param {Request} request */
  const keep = (id, request) =>
    store.write([{ kind: 'chats', id: recordOf(id), value: { change: request } }]);
  /** @param {string} id */
  const drop = (id) => store.write([{ kind: 'chats', id: recordOf(id), remove: true }]);

  /** The answer, after as many tries as it takes to get one. @param {string} id @param {Request} request */
  async function post(id, request) {
    for (let tries = 1; ; tries++) {
      try {
        return await api.request('POST', `/chats/${id}/events`, { body: request });
      } catch (error) {
        if (!(error instanceof ChatSecError)) throw error;
        if (!NO_ANSWER.includes(error.code) || tries >= LOST_ANSWER_TRIES) throw error;
        await wait(DELAY_MS * 2 ** tries);
      }
    }
  }

  /** Sends it, and finds out what became of it. @param {string} id @param {Request} request
   * @param {() => boolean} mayRenew  asked before another share is signed for it
   * @returns {Promise<'done'|'again'>} `again`: it can never be taken any more, since something else moved */
  async function send(id, request, mayRenew) {
    await keep(id, request);
    try {
      const answer = await post(id, request);
      await drop(id);
      if (answer === null) chats.drop(id);
      else await chats.take(answer);
      if (answer !== null) await messages.catchUp(id);
      return 'done';
    } catch (error) {
      if (!(error instanceof ChatSecError) || NO_ANSWER.includes(error.code)) throw error;
      return refused(id, request, error, mayRenew);
    }
  }

  /** @param {string} id @param {Request} request @param {ChatSecError} error @param {() => boolean} mayRenew
   * @returns {Promise<'done'|'again'>} */
  async function refused(id, request, error, mayRenew) {
    if (!request.membership) {
      await drop(id); // a share alone binds nobody
      if (CONFLICTS.includes(error.code)) return 'again';
      throw error;
    }
    const entry = await readEntry(request.membership, id);
    const place = await look(id);
    const fate = fateOf(place, entry);
    if (fate === 'taken') return taken(id);
    const outdated = !isCurrent(entry);
    if (outdated) await keysSettled(); // the own keys were being renewed: the next is signed with the new ones
    if (fate === 'void' || outdated || !stands(place, entry) || (await isEnded(entry, place))) {
      await drop(id);
      if (fate === 'void' || outdated || CONFLICTS.includes(error.code)) return 'again';
      throw error;
    }
    // The entry is as good as before: only the share can have been overtaken. The record stays whatever comes of it.
    const overtaken = request.client_share && ['epoch_conflict', 'invalid_share'].includes(error.code);
    if (!overtaken || !mayRenew()) throw error;
    return resend(id, { ...request, client_share: await signing.signShare(id, place.epoch + 1, entry) });
  }

  /** Once more with a new share; after that it waits for the next occasion. @param {string} id @param {Request} request
   * @returns {Promise<'done'|'again'>} */
  async function resend(id, request) {
    await keep(id, request);
    const answer = await post(id, request);
    await drop(id);
    if (answer) await chats.take(answer);
    await messages.catchUp(id);
    return 'done';
  }

  /** @param {string} id @returns {Promise<'done'>} */
  async function taken(id) {
    await drop(id);
    return 'done';
  }

  /** What became of an entry, by the log. @param {Place} place @param {Entry} entry @returns {'taken'|'void'|'open'} */
  function fateOf({ head, combined }, entry) {
    if (head.n < entry.n) return 'open';
    const there = combined.head?.n === entry.n ? combined.head : combined.log.entries[entry.n - 1];
    return there?.hash === entry.hash ? 'taken' : 'void';
  }

  /** Does the entry add somebody whose account has ended? @param {Entry} entry @param {Place} place */
  async function isEnded(entry, { head }) {
    for (const username of differenceOf(head, entry).came) {
      try {
        await api.request('GET', `/users/${encodeURIComponent(username)}`);
      } catch (error) {
        if (!(error instanceof ChatSecError) || error.code !== 'not_found') throw error;
        return true;
      }
    }
    return false;
  }

  /** What was under way when its answer was lost comes first. @param {string} id @param {() => boolean} [mayRenew] by
   * default for what the user asked for, not for what this client posts by itself */
  async function settle(id, mayRenew) {
    const held = await store.get('chats', recordOf(id));
    if (!held) return;
    /** @type {Request} */
    const request = held.change;
    const place = await look(id);
    if (request.membership) {
      const fate = fateOf(place, await readEntry(request.membership, id));
      if (fate !== 'open') return drop(id);
    } else if (request.client_share) return drop(id); // whether it came or not, the chat as it is now decides
    try {
      await send(id, request, mayRenew ?? (() => !['retire', 'rekey'].includes(request.kind)));
    } catch (error) {
      const over = error instanceof ChatSecError && !(await store.get('chats', recordOf(id)));
      if (!over) throw error; // else refused for good: it was told as failed before, and is in nothing's way
    }
  }

  return {
    look,
    send,
    settle,
  };
}

/**
 * What the items of a chat are examined with: its epochs and their keys, people's bundles, in `combined` chats the
 * membership log and the shares. What turns out to be missing is fetched once; what is still missing then is not there.
 */

import { ChatSecError } from './errors.js';
import { examine, examineShare, headBefore, missing } from './timeline.js';

/**
 * @typedef {import('./answers.js').Epoch} Epoch
 * @typedef {import('./crypto/share.js').Share} Share
 * @typedef {import('./timeline/examine.js').Facts} Facts
 * @typedef {import('./timeline/examine.js').HeldKey} HeldKey
 *
 * @typedef {Object} Held  what one chat's session holds of it
 * @property {string} id
 * @property {Map<number, Epoch>} epochs
 * @property {Map<number, HeldKey>} keys
 * @property {Map<number, Share|null>} shares  null: what the Epoch gives is none
 * @property {import('./timeline/reduce.js').State|null} state
 */

/**
 * @param {object} parts
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {ReturnType<typeof import('./keyring.js').createKeyring>} parts.keyring
 * @param {ReturnType<typeof import('./chats.js').createChats>} parts.chats
 * @param {ReturnType<typeof import('./membership.js').createMembership>} parts.membership
 * @param {ReturnType<typeof import('./epochs.js').createEpochs>} parts.opener
 */
export function createMaterial({ pins, keyring, chats, membership, opener }) {
  const isCombined = (/** @type {string} */ id) => chats.get(id)?.key_mode === 'combined';

  /** @param {Held} held @returns {import('./timeline/examine.js').Material} */
  const of = (held) => ({
    chat: held.id,
    personOf: pins.get,
    keyOf: (epoch) => held.keys.get(epoch) ?? { failure: 'waiting_for_key' },
    membersOf: (epoch) => held.epochs.get(epoch)?.members ?? null,
    ...(isCombined(held.id) && {
      entryOf: (hash) => membership.logOf(held.id).byHash.get(hash),
      shareOf: (epoch) => held.shares.get(epoch),
    }),
  });

  /** @param {string} username */
  async function loadPerson(username) {
    try {
      await pins.load(username);
    } catch (error) {
      // Whoever has no keys has none to be trusted: what they signed stays `unknown_key`.
      if (!(error instanceof ChatSecError) || error.code !== 'not_found') throw error;
    }
  }

  /** @param {Held} held @param {any[]} items that follow `before` @param {string|null} before @returns {Promise<Facts[]>} */
  async function examineOnce(held, items, before) {
    const facts = [];
    let chain = before;
    for (const item of items) {
      const fact = await examine(item, chain, of(held));
      facts.push(fact);
      chain = fact.after;
    }
    return facts;
  }

  return {
    of,
    isCombined,

    /** @param {Held} held @param {Epoch[]} epochs as the server gives them */
    async takeEpochs(held, epochs) {
      for (const epoch of epochs) {
        const { number } = epoch;
        const key = held.keys.get(number);
        if ((key && 'key' in key) || !epoch.members) continue;
        held.epochs.set(number, epoch);
        if (isCombined(held.id)) {
          const opened = await opener.open(held.id, epoch);
          held.shares.set(number, opened.share);
          held.keys.set(number, opened.key);
        } else held.keys.set(number, await keyring.epochKey(held.id, epoch));
      }
    },

    /** Items that follow `before`, as facts. @param {Held} held @param {any[]} items @param {string|null} before */
    async examineAll(held, items, before) {
      const facts = await examineOnce(held, items, before);
      const lacks = facts.map((fact) => missing(fact, of(held)));
      const people = new Set(lacks.flatMap((each) => each.people));
      const entries = lacks.some((each) => each.entries);
      if (people.size === 0 && !entries) return facts;
      for (const username of people) await loadPerson(username);
      if (entries) await membership.fetch(held.id);
      return examineOnce(held, items, before);
    },

    /**
     * Where the log stands before the first of these facts, for `begin`; null in `server` chats.
     * @param {Held} held @param {Facts[]} facts all that will be judged @param {Epoch|null} epoch that holds at the first
     * @returns {Promise<import('./timeline/combined.js').Start|null>}
     */
    async startOf(held, facts, epoch) {
      if (!isCombined(held.id)) return null;
      const log = membership.logOf(held.id);
      const share = epoch && (await examineShare(held.shares.get(epoch.number), of(held)));
      const { last: seq = 0, combined } = held.state ?? {};
      // What was found here counts before what the server says.
      const anchor = combined?.exact ? { seq, n: combined.head?.n ?? 0 } : chats.anchor(held.id);
      return { log, head: headBefore({ facts, log, anchor }), share };
    },
  };
}

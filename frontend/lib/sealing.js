/**
 * Makes the final bytes of a message: its lane, what its author has seen, and under which epoch key (protocol §5).
 *
 * Refuses to seal in a chat whose mode changed or whose epoch key is not here, before the share that is due was posted
 * (shares.js), and to continue a lane that it does not know to the end.
 */

import { newLane } from './crypto/index.js';
import { ChatSecError } from './errors.js';
import { namedAt } from './timeline/combined.js';
import { laneOf } from './timeline/lanes.js';

/**
 * @typedef {{dev: string, epoch: number, n: number, hash: string, seq: number}} Lane  as far as it is acknowledged
 * @typedef {{envelope: any, hash: string, dev: string, epoch: number, n: number, seen: number,
 *   kid: string}} Sealed
 */

/**
 * @param {object} parts
 * @param {import('./store/port.js').Store} parts.store
 * @param {ReturnType<typeof import('./keyring.js').createKeyring>} parts.keyring
 * @param {import('./runner.js').Runner} parts.runner
 * @param {import('./messages.js').Messages} parts.messages
 * @param {ReturnType<typeof import('./chats.js').createChats>} parts.chats
 * @param {ReturnType<typeof import('./shares.js').createShares>} parts.shares
 * @param {() => string} parts.me
 */
export function createSealing({ store, keyring, runner, messages, chats, shares, me }) {
  /** @type {Set<string>} lanes that this client made or checked */
  const ownLanes = new Set();

  /** The lane to go on with, or a new one where that is not known to its end. @param {string} chat
   * @param {import('./timeline/reduce.js').State} state @param {number} epoch */
  async function laneFor(chat, state, epoch) {
    /** @type {Lane|undefined} */
    const lane = await store.get('chats', `${chat} lane`);
    const covered = lane && lane.seq >= state.first && lane.seq <= state.last;
    if (lane && (covered || ownLanes.has(lane.dev))) {
      const tail = lane.epoch === epoch ? { n: lane.n, hash: lane.hash } : { n: 0, hash: '' };
      const held = state.lanes.get(laneOf({ epoch, from: me(), dev: lane.dev })) ?? { n: 0, hash: '' };
      const unknown = held.n > tail.n || (held.n === tail.n && held.hash !== tail.hash);
      if (!unknown) return { dev: lane.dev, ...tail };
    }
    const dev = newLane();
    ownLanes.add(dev);
    return { dev, n: 0, hash: '' };
  }

  /** The furthest item up to which the chain is known. @param {import('./timeline/reduce.js').State} state */
  function seenOf(state) {
    for (let seq = state.last; seq >= state.first - 1; seq--) {
      const hash = state.chains.get(seq);
      if (hash && seq >= (state.epoch?.opened ?? 0)) return { seq, hash };
    }
    throw new ChatSecError('history_fork', 'no place in the history that could be vouched for');
  }

  return {
    /** @param {string} dev */
    noteOwn(dev) {
      ownLanes.add(dev);
    },
    /** The final bytes of a message, in a chat that was caught up.
     * @param {{chat: string, id: string, at: string, alg: string}} entry @param {any} payload @returns {Promise<Sealed>} */
    async seal({ chat, id, at, alg }, payload) {
      chats.checkMode(chat);
      await shares.ready(chat);
      const state = messages.stateOf(chat);
      if (!state?.epoch) throw new ChatSecError('unavailable', 'the chat could not be loaded');
      const held = messages.keyOf(chat, state.epoch.number) ?? { failure: 'waiting_for_key' };
      if ('failure' in held) throw new ChatSecError(held.failure, 'no epoch key to encrypt with');
      const { dev, n, hash: prev } = await laneFor(chat, state, state.epoch.number);
      const seen = seenOf(state);
      const header = {
        chat,
        epoch: state.epoch.number,
        id,
        from: me(),
        dev,
        n: n + 1,
        prev,
        seen,
        log: state.combined ? (namedAt(state.combined, seen.seq) ?? '') : '',
        at,
      };
      const signer = keyring.signer(alg);
      const parts = { header, payload, epochKey: held.key, signer };
      const { envelope, hash } = await runner.run('sealEnvelope', parts);
      return { envelope, hash, dev, epoch: header.epoch, n: header.n, seen: seen.seq, kid: signer.kid };
    },
    /** Would it be signed with another key by now? @param {string} alg @param {Sealed} sealed */
    isOutdated: (alg, { kid }) => keyring.signer(alg).kid !== kid,
    clear: () => ownLanes.clear(),
  };
}

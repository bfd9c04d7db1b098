/**
 * The chains that senders keep over their own messages: `n` and `prev` per (epoch, from, dev) (protocol §5).
 * A lane that begins before the items held is anchored silently; whoever holds the item that opened its epoch expects n = 1.
 */

/** @typedef {{n: number, hash: string}} Tail */

/** @param {{epoch: number, from: string, dev: string}} header */
export const laneOf = ({ epoch, from, dev }) => `${epoch} ${from} ${dev}`;

/**
 * Moves a lane by one signed message.
 * @param {Map<string, Tail>} lanes changed in place: the caller's own copy
 * @param {import('../crypto/envelope.js').Header} header
 * @param {string} hash of the envelope
 * @param {boolean} fromOpening the item that opened the epoch is held
 * @param {boolean} repeated its id was seen before: a copy neither moves nor breaks the lane
 * @returns {string[]} warnings
 */
export function laneStep(lanes, header, hash, fromOpening, repeated) {
  const lane = laneOf(header);
  const held = lanes.get(lane);
  const tail = held ?? (fromOpening ? { n: 0, hash: '' } : null);
  const follows = tail
    ? header.n === tail.n + 1 && header.prev === tail.hash
    : (header.n === 1) === (header.prev === '');
  if (!repeated && (!tail || header.n > tail.n)) lanes.set(lane, { n: header.n, hash });
  if (repeated && tail && follows) lanes.set(lane, { n: header.n, hash });
  if (follows || repeated) return [];
  return [header.n > (tail?.n ?? 0) + 1 ? 'chain_gap' : 'chain_fork'];
}

/** Facts as `examine` would find them, for tests of the pure steps: hashes stand for themselves. */

let count = 0;
export const uuid = () => `00000000-0000-4000-8000-${String((count += 1)).padStart(12, '0')}`;

/** c behind item s of an honest history. */
export const chainAt = (seq) => `c${seq}`;

/** A message; `n` and `prev` have to be given where lanes matter. */
export function message(seq, from, { header = {}, ...facts } = {}) {
  const id = header.id ?? uuid();
  return {
    kind: 'message',
    seq,
    receivedAt: '2026-11-24T12:00:00.000Z',
    before: chainAt(seq - 1),
    after: chainAt(seq),
    hash: `h${seq}`,
    item: {},
    header: {
      epoch: 1,
      from,
      dev: `lane of ${from}`,
      n: 1,
      prev: '',
      seen: { seq: seq - 1, hash: chainAt(seq - 1) },
      log: '',
      at: '2026-11-24T11:59:59.000Z',
      alg: 'Ed25519',
      ...header,
      id,
    },
    candidates: [{ version: 1, hash: `${from} 1` }],
    signed: true,
    key: null,
    opened: null,
    payload: { type: 'text', body: `item ${seq}` },
    ...facts,
  };
}

/** An event; `epoch` is the one that holds from it on. */
export function event(seq, kind, by, usernames, epoch, { event: more = {}, ...facts } = {}) {
  return {
    kind: 'event',
    seq,
    receivedAt: '2026-11-24T12:00:00.000Z',
    before: chainAt(seq - 1),
    after: chainAt(seq),
    hash: `h${seq}`,
    item: {},
    event: { kind, by, usernames, epoch, log: '', share: '', keys: '', ...more },
    announced: null,
    epochMembers: null,
    ...facts,
  };
}

export const people = ['alice', 'bob', 'carol'];

/** Everybody's versions 1 and 2 are linked to their pins. */
export const trusting = (username) => new Map([1, 2].map((version) => [`${username} ${version}`, 'linked']));

// Wraps of epoch secrets, good and refused (protocol §4).

import { encodeB64u, encodeText, keyCommitment, wrapLabel } from '../../../lib/crypto/index.js';
import { CHAT, encryptOaep, flip, OTHER_CHAT, stream, testKeys } from '../fixtures.js';

/** Cases of wrap.json. */
export async function make() {
  const { alice, bob } = await testKeys();
  const mine = alice['RSA-OAEP-256'];
  const shared = { chat: CHAT, epoch: 7, spki: encodeB64u(mine.spki), private_key: encodeB64u(mine.pkcs8) };

  const good = async (
    /** @type {string} */ name,
    /** @type {string} */ chat,
    /** @type {number} */ epoch,
  ) => {
    const secret = stream(`wrap ${name}`, 32);
    const seed = stream(`wrap seed ${name}`, 32);
    const label = wrapLabel(chat, epoch);
    return {
      name,
      valid: true,
      ...shared,
      chat,
      epoch,
      label: encodeB64u(label),
      secret: encodeB64u(secret),
      seed: encodeB64u(seed),
      wrapped: encodeB64u(encryptOaep(mine.spki, secret, label, seed)),
      epoch_key: encodeB64u(secret), // in `server` chats K_e = S_e
      kc: await keyCommitment(secret),
    };
  };
  const secret = stream('wrap refused', 32);
  const seed = stream('wrap refused seed', 32);
  const wrap = (/** @type {Uint8Array} */ label, bytes = secret, key = mine) =>
    encryptOaep(key.spki, bytes, label, seed);
  const right = wrap(wrapLabel(CHAT, 7));
  const bad = (/** @type {string} */ name, /** @type {Uint8Array} */ wrapped) => ({
    name,
    valid: false,
    failure: 'undecryptable',
    ...shared,
    wrapped: encodeB64u(wrapped),
  });
  return {
    construction: 'wrap',
    source: 'protocol §4, RFC 8017 §7.1',
    cases: [
      await good('first epoch', CHAT, 1),
      await good('a later epoch', CHAT, 7),
      await good('another chat', OTHER_CHAT, 7),
      await good('the largest number', CHAT, Number.MAX_SAFE_INTEGER),
      bad('label of another chat', wrap(wrapLabel(OTHER_CHAT, 7))),
      bad('label of another epoch', wrap(wrapLabel(CHAT, 8))),
      bad('label of the client half', wrap(wrapLabel(CHAT, 7, 'client'))),
      bad('no label', wrap(new Uint8Array(0))),
      bad('label with a line feed more', wrap(encodeText(`chatsec/wrap/v1\n${CHAT}\n7\nserver\n`))),
      bad('to another key', wrap(wrapLabel(CHAT, 7), secret, bob['RSA-OAEP-256'])),
      bad('a secret of 31 bytes', wrap(wrapLabel(CHAT, 7), secret.slice(1))),
      bad('a secret of 33 bytes', wrap(wrapLabel(CHAT, 7), stream('wrap long', 33))),
      bad('an empty secret', wrap(wrapLabel(CHAT, 7), new Uint8Array(0))),
      bad('a key of 16 bytes', wrap(wrapLabel(CHAT, 7), secret.slice(16))),
      bad('first byte changed', flip(right, 0)),
      bad('last byte changed', flip(right, right.length - 1)),
      bad('truncated', right.slice(0, -1)),
      bad('a byte longer', Uint8Array.from([...right, 0])),
      bad('nothing', new Uint8Array(0)),
      bad('not encrypted', secret),
      bad('OAEP with SHA-1', encryptOaep(mine.spki, secret, wrapLabel(CHAT, 7), seed.slice(12), 'sha1')),
    ],
  };
}

// From passwords to what is derived, and the answers of a server that are refused (protocol §3).

import { argon2id, decodeB64u, encodeB64u, newKdf, splitMaster } from '../../../lib/crypto/index.js';
import { generator, stream } from '../fixtures.js';

/**
 * @param {string} name @param {string} password @param {{m: number, t: number, p: number}} cost
 * @param {boolean} weak for speed: the derivation alone is to be reproduced, a client refuses such a cost
 */
async function derived(name, password, cost, weak) {
  const salt = stream(`password ${name}`, 16);
  const master = await argon2id(password, salt, cost);
  const { auth, passwordKey } = await splitMaster(master);
  return {
    name,
    valid: true,
    ...(weak && { below_policy: true }),
    password,
    kdf: { name: 'argon2id', ...cost, salt: encodeB64u(salt) },
    master: encodeB64u(master),
    auth,
    password_key: encodeB64u(passwordKey),
  };
}

/** Cases of password.json. */
export async function make() {
  const full = newKdf(generator('password refused'));
  const cheap = { m: 64, t: 1, p: 1 };
  const refused = (/** @type {string} */ name, /** @type {unknown} */ kdf) => ({
    name,
    valid: false,
    failure: 'weak_kdf',
    kdf,
  });
  const resalted = (/** @type {number} */ length) =>
    encodeB64u(decodeB64u(full.salt.repeat(2).slice(0, 40)).slice(0, length));
  return {
    construction: 'password',
    source: 'protocol §3, RFC 9106, RFC 5869',
    cases: [
      await derived('full cost', 'correct horse battery staple', { m: 65536, t: 3, p: 1 }, false),
      await derived('cheap', 'correct horse battery staple', cheap, true),
      await derived('more passes and lanes', 'correct horse battery staple', { m: 128, t: 3, p: 4 }, true),
      await derived('not ASCII', 'Grüße, 世界 😀', cheap, true),
      await derived('NFKC: compatibility and composed', '\u212bngstr\u00f6m \ufb01', cheap, true),
      await derived('NFKC: decomposed', '\u00c5ngstro\u0308m fi', cheap, true),
      await derived('hundred characters', 'x'.repeat(99) + '1', cheap, true),
      await derived('hundred characters, another last', 'x'.repeat(99) + '2', cheap, true),
      await derived('NUL inside', 'a\u0000b', cheap, true),
      refused('null', null),
      refused('another name', { ...full, name: 'argon2i' }),
      refused('PBKDF2', { name: 'pbkdf2', iterations: 600000, salt: full.salt }),
      refused('m below', { ...full, m: 65535 }),
      refused('m above', { ...full, m: 1048577 }),
      refused('t below', { ...full, t: 2 }),
      refused('t above', { ...full, t: 17 }),
      refused('p below', { ...full, p: 0 }),
      refused('p above', { ...full, p: 5 }),
      refused('t not integral', { ...full, t: 3.5 }),
      refused('t a text', { ...full, t: '3' }),
      refused('p a boolean', { ...full, p: true }),
      refused('m missing', { name: full.name, t: full.t, p: full.p, salt: full.salt }),
      refused('salt of 15 bytes', { ...full, salt: resalted(15) }),
      refused('salt of 17 bytes', { ...full, salt: resalted(17) }),
      refused('salt padded', { ...full, salt: `${full.salt}==` }),
      refused('salt missing', { name: full.name, m: full.m, t: full.t, p: full.p }),
    ],
  };
}

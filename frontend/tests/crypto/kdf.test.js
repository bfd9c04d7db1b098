import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hkdfSync } from 'node:crypto';
import {
  argon2id,
  decodeB64u,
  deriveLogin,
  encodeB64u,
  judgeKdf,
  newKdf,
  splitMaster,
} from '../../lib/crypto/index.js';

const failsWith = (/** @type {string} */ code) => (/** @type {any} */ error) => error.code === code;
const cheap = { m: 64, t: 1, p: 1 };
const salt = new Uint8Array(16).fill(1);

test('ASVS 11.4.2, 11.4.4: H10: every answer weaker, stranger or costlier than the protocol allows is weak_kdf', () => {
  const good = newKdf();
  assert.deepEqual(judgeKdf(good), good);
  assert.deepEqual(judgeKdf({ ...good, m: 1048576, t: 16, p: 4, extra: 1 }), {
    ...good,
    m: 1048576,
    t: 16,
    p: 4,
  });
  const worse = [
    null,
    undefined,
    'argon2id',
    [],
    {},
    { ...good, name: 'argon2i' },
    { ...good, name: 'Argon2id' },
    { ...good, m: 65535 },
    { ...good, m: 1048577 },
    { ...good, t: 2 },
    { ...good, t: 17 },
    { ...good, p: 0 },
    { ...good, p: 5 },
    { ...good, t: 3.5 },
    { ...good, t: '3' },
    { ...good, p: true },
    { ...good, salt: encodeB64u(new Uint8Array(15)) },
    { ...good, salt: encodeB64u(new Uint8Array(17)) },
    { ...good, salt: `${good.salt}==` },
    { ...good, salt: null },
  ];
  for (const kdf of worse) assert.throws(() => judgeKdf(kdf), failsWith('weak_kdf'), JSON.stringify(kdf));
});

test('nothing is derived for an answer that is refused', async () => {
  await assert.rejects(deriveLogin('correct horse', null), failsWith('weak_kdf'));
});

test('Argon2id: WebAssembly and script give the same, which differs by password, salt and cost', async () => {
  const seen = new Set();
  for (const [password, other, cost] of /** @type {[string, Uint8Array, typeof cheap][]} */ ([
    ['correct horse', salt, cheap],
    ['correct horsf', salt, cheap],
    ['correct horse', new Uint8Array(16), cheap],
    ['correct horse', salt, { ...cheap, t: 2 }],
    ['correct horse', salt, { ...cheap, m: 128, p: 2 }],
    [`${'x'.repeat(100)}1`, salt, cheap],
    [`${'x'.repeat(100)}2`, salt, cheap],
  ])) {
    const fast = await argon2id(password, other, cost, { script: false });
    assert.deepEqual(await argon2id(password, other, cost, { script: true }), fast);
    seen.add(encodeB64u(fast));
  }
  assert.equal(seen.size, 7);
});

test('ASVS 6.2.5, 6.2.6, 6.2.7, 6.2.8: passwords are NFKC', async () => {
  const derive = (/** @type {string} */ password) => argon2id(password, salt, cheap);
  assert.deepEqual(await derive('\u212bngstr\u00f6m \ufb01'), await derive('\u00c5ngstro\u0308m fi'));
  await assert.rejects(derive('a\ud800'), failsWith('invalid'));
});

test('the master is split by HKDF', async () => {
  const master = new Uint8Array(32).fill(5);
  const { auth, passwordKey } = await splitMaster(master);
  const expected = (/** @type {string} */ info) => new Uint8Array(hkdfSync('sha256', master, '', info, 32));
  assert.deepEqual(decodeB64u(auth, 32), expected('chatsec/auth/v1'));
  assert.deepEqual(passwordKey, expected('chatsec/backup/v1'));
});

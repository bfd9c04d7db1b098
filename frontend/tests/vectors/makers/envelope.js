// Envelopes under each algorithm, and hostile ones, each made as its author would have to (protocol §5).
//
// Built here by hand rather than by the library, so that what the library refuses to seal can be made too.

import { createCipheriv, createPrivateKey, sign as nodeSign } from 'node:crypto';
import * as dsa from '../../../lib/crypto/dsa.js';
import { fromBigInt, sha256, toBigInt } from '../../../lib/crypto/bytes.js';
import {
  concat,
  encodeB64u,
  encodeText,
  envelopeHash,
  keyCommitment,
  pad,
} from '../../../lib/crypto/index.js';
import { b64uText, CHAT, flip, OTHER_CHAT, signFixed, signPss, stream, testKeys } from '../fixtures.js';

/** @typedef {import('../fixtures.js').Key} Key */

const EPOCH_KEY = stream('epoch key', 32);
const OTHER_KEY = stream('other epoch key', 32);
const IV = stream('envelope iv', 12);
const H = (/** @type {string} */ label) => encodeB64u(stream(label, 32));

/** @param {Key} key @param {string} kc */
const baseHeader = (key, kc) => ({
  v: 1,
  chat: CHAT,
  epoch: 3,
  id: '0f8c2f5e-9d1b-4c3a-8e7f-6a5b4c3d2e1f',
  from: 'alice',
  dev: encodeB64u(stream('lane', 16)),
  n: 2,
  prev: H('prev'),
  seen: { seq: 41, hash: H('seen') },
  log: '',
  at: '2026-11-24T18:00:00.123Z',
  alg: key.alg,
  kid: key.kid,
  kc,
});

/** @param {Uint8Array} key @param {Uint8Array} iv @param {Uint8Array} plaintext @param {string} aad */
function encrypt(key, iv, plaintext, aad) {
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(encodeText(aad));
  return new Uint8Array(Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]));
}

/** @param {string} header @param {string} iv @param {Uint8Array} ciphertext @param {string} [kind] */
async function toSign(header, iv, ciphertext, kind = 'message') {
  return encodeText(`chatsec/${kind}/v1\n${header}\n${iv}\n${encodeB64u(await sha256(ciphertext))}`);
}

/**
 * An envelope of any content, signed as it stands.
 * @param {Key} key
 * @param {object} [parts]
 * @param {Record<string, unknown>} [parts.fields] instead of the base header's; undefined leaves one out
 * @param {Uint8Array} [parts.header] the whole header's bytes
 * @param {Uint8Array} [parts.padded] @param {Uint8Array} [parts.aesKey] @param {string} [parts.aad]
 * @param {string} [parts.kind] of the signed text @param {Key} [parts.signer] @param {string} [parts.chat]
 */
async function forge(key, parts = {}) {
  const kc = await keyCommitment(EPOCH_KEY);
  const headerJson = { ...baseHeader(key, kc), ...parts.fields };
  const header = encodeB64u(parts.header ?? encodeText(JSON.stringify(headerJson)));
  const padded = parts.padded ?? pad(encodeText('{"type":"text","body":"hi"}'));
  const ciphertext = encrypt(parts.aesKey ?? EPOCH_KEY, IV, padded, parts.aad ?? header);
  const iv = encodeB64u(IV);
  const signed = await toSign(header, iv, ciphertext, parts.kind);
  const { signature, ...fixed } = await signFixed(parts.signer ?? key, signed, `envelope ${key.alg}`);
  const envelope = { chat: parts.chat ?? CHAT, protected: header, iv, ciphertext: encodeB64u(ciphertext) };
  return {
    envelope: { ...envelope, signature: encodeB64u(signature) },
    ciphertext,
    signed,
    signature,
    fixed,
  };
}

/** @param {Key} key */
const reader = (key) => ({
  chat: CHAT,
  alg: key.alg,
  kid: key.kid,
  spki: encodeB64u(key.spki),
  epoch_key: encodeB64u(EPOCH_KEY),
});

/** @param {string} name @param {Key} key @param {string} payload JSON @param {{fields?: object, header?: Uint8Array}} [parts] */
async function good(name, key, payload, parts = {}) {
  const padded = pad(encodeText(payload));
  const { envelope, signed, fixed } = await forge(key, { .../** @type {any} */ (parts), padded });
  return {
    name: `${key.alg}: ${name}`,
    valid: true,
    ...reader(key),
    private_key: encodeB64u(key.pkcs8),
    ...fixed,
    header: envelope.protected,
    kc: await keyCommitment(EPOCH_KEY),
    aad: b64uText(envelope.protected),
    payload: b64uText(payload),
    padded: encodeB64u(padded),
    signed: encodeB64u(signed),
    envelope,
    hash: await envelopeHash(envelope),
  };
}

/** @param {string} failure @param {string} name @param {Key} key @param {any} envelope */
const refused = (failure, name, key, envelope) => ({
  name: `${key.alg}: ${name}`,
  valid: false,
  failure,
  ...reader(key),
  envelope,
});

/** Good ones. @param {Key[]} keys */
async function goodCases(keys) {
  const cases = [];
  for (const key of keys) {
    cases.push(await good('a text', key, '{"type":"text","body":"hello, 世界"}'));
    cases.push(
      await good('first of its lane', key, '{"type":"text","body":""}', { fields: { n: 1, prev: '' } }),
    );
  }
  const key = keys[1];
  const header = baseHeader(key, await keyCommitment(EPOCH_KEY));
  const text = JSON.stringify(header);
  const written = (/** @type {string} */ json) => ({ header: encodeText(json) });
  const payload = '{"type":"delete","target":"0f8c2f5e-9d1b-4c3a-8e7f-6a5b4c3d2e1f"}';
  return [
    ...cases,
    await good('a payload of an unknown type', key, '{"type":"hologram","size":1.5}'),
    await good('a lone surrogate in the payload', key, '{"type":"text","body":"a\\ud800b"}'),
    await good('a payload of 500 characters', key, JSON.stringify({ type: 'text', body: 'x'.repeat(500) })),
    await good('header with unknown keys', key, payload, { fields: { later: { deep: [1.5, null] } } }),
    await good('header with blanks', key, payload, written(JSON.stringify(header, null, 1))),
    await good(
      'header in another order',
      key,
      payload,
      written(JSON.stringify(Object.fromEntries(Object.entries(header).reverse()))),
    ),
    await good(
      'header with numbers written otherwise',
      key,
      payload,
      written(text.replace('"epoch":3', '"epoch":30e-1').replace('"n":2', '"n":2.0')),
    ),
    await good(
      'header with a repeated key, the last right',
      key,
      payload,
      written(text.replace('{', '{"epoch":9,')),
    ),
    await good('header with escapes', key, payload, written(text.replace('"alice"', '"\\u0061lice"'))),
  ];
}

/** Headers that are none, each properly signed. @param {Key} key */
async function malformedCases(key) {
  const base = baseHeader(key, await keyCommitment(EPOCH_KEY));
  const cases = [];
  const wrong = async (/** @type {string} */ name, /** @type {any} */ parts) =>
    cases.push(refused('malformed', name, key, (await forge(key, parts)).envelope));
  for (const [field, values] of Object.entries({
    v: [undefined, 0, 2, '1', true],
    chat: [undefined, OTHER_CHAT, CHAT.toUpperCase(), null],
    epoch: [undefined, 0, -1, 1.5, '3', true, 2 ** 53],
    id: [undefined, 'message-1', '0F8C2F5E-9d1b-4c3a-8e7f-6a5b4c3d2e1f', 7],
    from: [undefined, 'Alice', 'a', 'alice\nbob', '', null],
    dev: [undefined, '', 'AAAA', `${base.dev}==`, H('long lane')],
    n: [undefined, 0, '2', 1.5],
    prev: [undefined, null, 'AAAA', `${base.prev}=`],
    seen: [
      undefined,
      null,
      [],
      { seq: 41 },
      { hash: base.seen.hash },
      { seq: '41', hash: base.seen.hash },
      { seq: 0, hash: base.seen.hash },
      { seq: 41, hash: '' },
    ],
    log: [undefined, null, 'AAAA'],
    at: [
      undefined,
      1764000000000,
      '2026-11-24',
      '2026-11-24T18:00:00Z',
      '2026-11-24T18:00:00.123+00:00',
      '2026-02-30T18:00:00.123Z',
      '2026-11-24T24:00:00.000Z',
      '2026-11-24t18:00:00.123z',
    ],
    alg: [undefined, null, 1],
    kid: [undefined, '', `${base.kid}=`],
    kc: [undefined, '', null, `${base.kc.slice(0, -1)}_`],
  })) {
    for (const value of values)
      await wrong(`header ${field}: ${JSON.stringify(value) ?? 'missing'}`, { fields: { [field]: value } });
  }
  const text = JSON.stringify(base);
  for (const [name, bytes] of /** @type {[string, Uint8Array][]} */ ([
    ['is empty', new Uint8Array(0)],
    ['is no JSON', encodeText(text.slice(1))],
    ['is an array', encodeText(`[${text}]`)],
    ['begins with a byte order mark', concat(Uint8Array.of(0xef, 0xbb, 0xbf), text)],
    ['is not UTF-8', concat(encodeText(text.slice(0, -1)), ',"x":"', Uint8Array.of(0xff), '"}')],
    ['has a lone surrogate', encodeText(text.replace('{', '{"x":"\\ud800",'))],
    ['has NaN', encodeText(text.replace('{', '{"x":NaN,'))],
    ['has an infinity', encodeText(text.replace('"epoch":3', '"epoch":1e999'))],
    ['has a repeated key, the last wrong', encodeText(text.replace(/}$/, ',"epoch":"3"}'))],
    ['is larger than 4 KiB', encodeText(text.replace('{', `{"x":"${'x'.repeat(4096)}",`))],
  ])) {
    await wrong(`header ${name}`, { header: bytes });
  }
  await wrong('envelope of another chat', { chat: OTHER_CHAT });
  const { envelope } = await forge(key);
  for (const [name, changes] of /** @type {[string, object][]} */ ([
    ['protected padded', { protected: `${envelope.protected}=` }],
    ['protected with a line feed', { protected: `${envelope.protected}\n` }],
    ['protected null', { protected: null }],
    ['iv of 11 bytes', { iv: encodeB64u(IV.slice(1)) }],
    ['iv of 16 bytes', { iv: encodeB64u(stream('iv 16', 16)) }],
    ['iv in hex', { iv: Buffer.from(IV).toString('hex') }],
    ['ciphertext a number', { ciphertext: 1 }],
    ['ciphertext in base64', { ciphertext: `${envelope.ciphertext}+/` }],
    ['ciphertext empty', { ciphertext: '' }],
    ['signature missing', { signature: undefined }],
    ['signature empty', { signature: '' }],
    ['signature padded', { signature: `${envelope.signature}==` }],
    ['chat missing', { chat: undefined }],
  ])) {
    cases.push(refused('malformed', name, key, { ...envelope, ...changes }));
  }
  return cases;
}

/** Signatures that must not verify. @param {Key} key @param {Key} other of the same algorithm @param {Key} foreign of another */
async function signatureCases(key, other, foreign) {
  const { envelope, signed, signature, ciphertext } = await forge(key);
  const bad = (/** @type {string} */ name, /** @type {object} */ changes) =>
    refused('bad_signature', name, key, { ...envelope, ...changes });
  const resigned = (/** @type {string} */ name, /** @type {Uint8Array} */ bytes) =>
    bad(name, { signature: encodeB64u(bytes) });
  const flippedHeader = encodeText(
    Buffer.from(envelope.protected, 'base64url').toString().replace('.123Z', '.124Z'),
  );
  const cases = [
    bad('header changed', { protected: encodeB64u(flippedHeader) }),
    bad('iv changed', { iv: encodeB64u(flip(IV, 0)) }),
    bad('ciphertext changed', { ciphertext: encodeB64u(flip(ciphertext, 5)) }),
    bad('tag changed', { ciphertext: encodeB64u(flip(ciphertext, ciphertext.length - 1)) }),
    bad('ciphertext cut', { ciphertext: encodeB64u(ciphertext.slice(0, -1)) }),
    resigned('signature changed', flip(signature, signature.length - 7)),
    resigned('signature with a byte more', concat(signature, Uint8Array.of(0))),
    resigned('signature cut', signature.slice(0, -1)),
    resigned('signature of zeros', new Uint8Array(signature.length)),
    refused('bad_signature', "by another person's key", key, (await forge(key, { signer: other })).envelope),
    refused(
      'bad_signature',
      'by a key of another algorithm',
      key,
      (await forge(key, { signer: foreign })).envelope,
    ),
    refused('bad_signature', 'of another kind', key, (await forge(key, { kind: 'membership' })).envelope),
  ];
  return [...cases, ...malleable(key, signed, signature).map(([name, bytes]) => resigned(name, bytes))];
}

/** H9. @param {Key} key @param {Uint8Array} signed @param {Uint8Array} signature @returns {[string, Uint8Array][]} */
function malleable({ alg, pkcs8 }, signed, signature) {
  if (alg === 'RSA-PSS-SHA256') {
    const key = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
    const salted = (/** @type {number} */ length) => signPss(pkcs8, signed, stream('envelope salt', length));
    return [
      ['salt of 0 bytes', salted(0)],
      ['salt of 20 bytes', salted(20)],
      ['salt of 33 bytes', salted(33)],
      ['salt of 64 bytes', salted(64)],
      ['PKCS #1 v1.5', new Uint8Array(nodeSign('sha256', signed, key))],
    ];
  }
  if (alg === 'DSA-SHA256') {
    const { r, s } = dsa.parseSignature(signature);
    const { q } = dsa.DOMAIN;
    return [
      ['q − s', dsa.encodeSignature(r, q - s)],
      ['s + q', dsa.encodeSignature(r, s + q)],
      ['r + q', dsa.encodeSignature(r + q, s)],
      ['length in long form', concat(Uint8Array.of(0x30, 0x81), signature.slice(1))],
      ['r‖s without DER', concat(fromBigInt(r, 32), fromBigInt(s, 32))],
    ];
  }
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = toBigInt(signature.slice(32).reverse());
  return [['S + L', concat(signature.slice(0, 32), fromBigInt(s + order, 32).reverse())]];
}

/** What verifies and must still not be read. @param {Key} key @param {Key} other @param {Key} foreign */
async function contentCases(key, other, foreign) {
  const kcOfOther = await keyCommitment(OTHER_KEY);
  const marker = (/** @type {Uint8Array} */ bytes, length = 32) =>
    concat(bytes, new Uint8Array(length - bytes.length));
  const payload = (/** @type {string | Uint8Array} */ content) => ({
    padded: pad(typeof content === 'string' ? encodeText(content) : content),
  });
  /** @type {[string, string, any][]} */
  const wrong = [
    ['unknown_key', 'kid of another person', { fields: { kid: other.kid } }],
    ['unknown_key', 'kid of another algorithm', { fields: { kid: foreign.kid } }],
    ['unknown_key', 'alg of another key', { fields: { alg: foreign.alg } }],
    ['unknown_key', 'alg unknown', { fields: { alg: 'RS256' } }],
    ['unknown_key', 'alg none', { fields: { alg: 'none' } }],
    [
      'key_mismatch',
      'encrypted under another key and committed to it',
      { fields: { kc: kcOfOther }, aesKey: OTHER_KEY },
    ],
    ['key_mismatch', 'committed to another key', { fields: { kc: kcOfOther } }],
    ['undecryptable', 'encrypted under another key, committed to ours', { aesKey: OTHER_KEY }],
    ['undecryptable', 'another AAD', { aad: 'chatsec' }],
    ['bad_padding', 'no marker', { padded: new Uint8Array(32) }],
    ['bad_padding', 'no padding', { padded: encodeText('{"type":"text","body":"hello you"}') }],
    [
      'bad_padding',
      'a length that Padmé does not give',
      { padded: marker(Uint8Array.of(0x7b, 0x7d, 0x80), 33) },
    ],
    ['bad_padding', 'twice as long as needed', { padded: marker(Uint8Array.of(0x7b, 0x7d, 0x80), 64) }],
    ['bad_padding', 'empty plaintext', { padded: new Uint8Array(0) }],
    ['malformed', 'payload empty', payload('')],
    ['malformed', 'payload no JSON', payload('hello')],
    ['malformed', 'payload an array', payload('["text"]')],
    ['malformed', 'payload without a type', payload('{"body":"hello"}')],
    ['malformed', 'payload with a type that is no text', payload('{"type":1}')],
    ['malformed', 'payload with a byte order mark', payload('\ufeff{"type":"text","body":""}')],
    ['malformed', 'payload not UTF-8', payload(concat('{"type":"', Uint8Array.of(0xc0, 0xaf), '"}'))],
  ];
  const cases = [];
  for (const [failure, name, parts] of wrong)
    cases.push(refused(failure, name, key, (await forge(key, parts)).envelope));
  return cases;
}

/** Cases of envelope.json. */
export async function make() {
  const { alice, bob } = await testKeys();
  const algs = ['RSA-PSS-SHA256', 'Ed25519', 'DSA-SHA256'];
  const cases = [
    ...(await goodCases(algs.map((alg) => alice[alg]))),
    ...(await malformedCases(alice.Ed25519)),
  ];
  for (const [i, alg] of algs.entries()) {
    cases.push(...(await signatureCases(alice[alg], bob[alg], alice[algs[(i + 1) % 3]])));
    cases.push(...(await contentCases(alice[alg], bob[alg], alice[algs[(i + 1) % 3]])));
  }
  return { construction: 'envelope', source: 'protocol §5', cases };
}

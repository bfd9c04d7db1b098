import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';
import { ChatSecError } from '../../lib/errors.js';
import { signFixed } from './fixtures.js';
import { bytes, everyFlipFails, failureOf, load, reproduce } from './load.js';

/**
 * A reader who has this chat open, this one key of the author's and this epoch key, in the page's order.
 * @param {any} vector @param {any} [envelope]
 */
async function receive(
  { chat, alg, kid, spki, epoch_key: epochKeyText, ...vector },
  envelope = vector.envelope,
) {
  const epochKey = await crypto.epochKey(bytes(epochKeyText));
  const parsed = await crypto.parseEnvelope(envelope);
  if (parsed.header.chat !== chat) throw new ChatSecError('malformed', 'another chat');
  await crypto.verifyEnvelope(parsed, { alg, kid, spki: bytes(spki) });
  crypto.checkCommitment(parsed, epochKey);
  const payload = await crypto.openEnvelope(parsed, epochKey);
  return { parsed, payload, json: crypto.parsePayload(payload) };
}

reproduce(
  'envelope',
  async (vector) => {
    const { parsed, payload, json } = await receive(vector);
    const { envelope, alg, kid } = vector;
    const epochKey = await crypto.epochKey(bytes(vector.epoch_key));
    assert.equal(parsed.hash, vector.hash);
    assert.equal(await crypto.envelopeHash(envelope), vector.hash);
    assert.equal(crypto.encodeB64u(payload), vector.payload);
    assert.equal(crypto.encodeB64u(crypto.pad(payload)), vector.padded);
    assert.equal(epochKey.kc, vector.kc);
    assert.equal(crypto.encodeB64u(crypto.encodeText(envelope.protected)), vector.aad);
    assert.equal(vector.header, envelope.protected);
    assert.equal(await crypto.kidOf(bytes(vector.spki)), kid);
    assert.ok(typeof json.type === 'string');
    const ciphertext = await crypto.aesGcmEncrypt(
      epochKey.aes,
      bytes(envelope.iv),
      bytes(vector.padded),
      bytes(vector.aad),
    );
    assert.equal(crypto.encodeB64u(ciphertext), envelope.ciphertext);
    const key = { alg, kid, spki: bytes(vector.spki), pkcs8: bytes(vector.private_key) };
    const { signature } = await signFixed(key, bytes(vector.signed), `envelope ${alg}`);
    assert.equal(crypto.encodeB64u(signature), envelope.signature);
  },
  receive,
);

test('vectors envelope: the library seals the same bytes', async () => {
  const vector = load('envelope').find(({ name }) => name === 'Ed25519: a text');
  const { envelope, alg, kid } = vector;
  const header = JSON.parse(crypto.decodeText(bytes(envelope.protected)));
  assert.equal(crypto.encodeB64u(crypto.encodeHeader(header)), envelope.protected);
  const sealed = await crypto.sealEnvelope({
    header,
    payload: JSON.parse(crypto.decodeText(bytes(vector.payload))),
    epochKey: await crypto.epochKey(bytes(vector.epoch_key)),
    signer: { alg, kid, key: await crypto.importPrivate(alg, bytes(vector.private_key)) },
    iv: bytes(envelope.iv),
  });
  assert.deepEqual(sealed, { envelope, hash: vector.hash });
});

test('vectors envelope: nothing with a changed byte is accepted', async () => {
  for (const vector of load('envelope').filter(({ name, valid }) => valid && name.endsWith('a text'))) {
    for (const field of ['protected', 'iv', 'ciphertext', 'signature']) {
      await everyFlipFails(`${vector.name} ${field}`, bytes(vector.envelope[field]), (wrong) =>
        receive(vector, { ...vector.envelope, [field]: crypto.encodeB64u(wrong) }),
      );
    }
    await everyFlipFails('epoch key', bytes(vector.epoch_key), (wrong) =>
      receive({ ...vector, epoch_key: crypto.encodeB64u(wrong) }),
    );
    await everyFlipFails('spki', bytes(vector.spki).slice(0, 60), (wrong) =>
      receive({ ...vector, spki: crypto.encodeB64u(crypto.concat(wrong, bytes(vector.spki).slice(60))) }),
    );
  }
});

test('vectors envelope: every character of a text field is bound', async () => {
  const vector = load('envelope').find(({ name }) => name === 'Ed25519: a text');
  for (const field of ['chat', 'protected', 'iv', 'ciphertext', 'signature']) {
    const text = vector.envelope[field];
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === 'b' ? 'c' : 'b';
      const envelope = { ...vector.envelope, [field]: text.slice(0, at) + other + text.slice(at + 1) };
      assert.notEqual(await failureOf(() => receive(vector, envelope)), null, `${field} ${at}`);
    }
  }
});

test('an envelope is refused above its sizes and taken at them', async () => {
  const { envelope } = load('envelope')[0];
  const sized = (/** @type {string} */ field, /** @type {number} */ length) =>
    failureOf(() =>
      crypto.parseEnvelope({ ...envelope, [field]: crypto.encodeB64u(new Uint8Array(length)) }),
    );
  assert.equal(await sized('ciphertext', 65536), null);
  assert.equal(await sized('ciphertext', 65537), 'malformed');
  assert.equal(await sized('ciphertext', 15), 'malformed');
  assert.equal(await sized('signature', 512), null);
  assert.equal(await sized('signature', 513), 'malformed');
  for (const not of [null, undefined, [], 'x', 5])
    assert.equal(await failureOf(() => crypto.parseEnvelope(not)), 'malformed');
});

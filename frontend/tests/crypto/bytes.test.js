import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  concat,
  decodeB64u,
  decodeText,
  encodeB64u,
  encodeText,
  equal,
  fromHex,
  isB64u,
  isCount,
  parseStrictJson,
  toHex,
} from '../../lib/crypto/bytes.js';
import { ChatSecError } from '../../lib/errors.js';

/** @param {() => unknown} act */
const refused = (act, code = 'malformed') =>
  assert.throws(act, (/** @type {any} */ error) => error instanceof ChatSecError && error.code === code);
const utf8 = (/** @type {string} */ text) => new Uint8Array(Buffer.from(text, 'utf8'));

test('base64url: decoding inverts encoding, as the platform has it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = encodeB64u(bytes);
      assert.equal(text, Buffer.from(bytes).toString('base64url'));
      assert.deepEqual(decodeB64u(text, bytes.length), new Uint8Array(bytes));
      assert.ok(isB64u(text, bytes.length));
    }),
  );
});

test('base64url: exactly what re-encodes is taken, and isB64u agrees', () => {
  const alphabet = [...'ABYZabyz0189-_=+/ \n\u00e9\ud83d'];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...alphabet), { maxLength: 12 }), (chars) => {
      const text = chars.join('');
      const strict = Buffer.from(text, 'base64url').toString('base64url') === text;
      const length = (text.length * 3) >> 2;
      assert.equal(isB64u(text, length), strict);
      if (strict) assert.equal(encodeB64u(decodeB64u(text)), text);
      else refused(() => decodeB64u(text));
    }),
    { numRuns: 2000 },
  );
});

test('base64url: padding, stray bits, other alphabets, other lengths and other types are refused', () => {
  for (const bad of [
    'A',
    'AA=',
    'AA==',
    'AB',
    'AAB',
    'A+',
    'A/',
    'AA\n',
    ' AA',
    'AA\u00c0',
    'ÀA',
    5,
    null,
    undefined,
    ['AA'],
  ]) {
    refused(() => decodeB64u(bad));
    assert.equal(isB64u(bad, 1), false);
  }
  refused(() => decodeB64u('AAAA', 2));
});

test('text: BOM, bad sequences and lone surrogates are refused', () => {
  assert.equal(decodeText(utf8('é€😀\u0000')), 'é€😀\u0000');
  assert.equal(decodeText(concat(utf8('a'), fromHex('efbbbf'))), 'a\ufeff');
  for (const hex of ['efbbbf', 'efbbbf61', 'ff', 'c0af', 'c3', 'eda080', 'f4908080', '80']) {
    refused(() => decodeText(fromHex(hex)));
  }
  refused(() => encodeText('a\ud800'));
  refused(() => encodeText('\udc00a'));
  assert.deepEqual(encodeText('😀'), utf8('😀'));
});

test('JSON: text rules hold inside it', () => {
  for (const bad of [
    '',
    '{',
    'NaN',
    '[Infinity]',
    '{"a":-Infinity}',
    '{"a":1e400}',
    '{"a":"\\ud800"}',
    '"\\udc00"',
    '{"\\ud83d":1}',
    '"\\ud83dx\\ude00"',
    '{"a":"\\ud800","a":1}',
    "{'a':1}",
    '[1,]',
    '\ufeff{}',
    '{"a":01}',
  ]) {
    refused(() => parseStrictJson(utf8(bad)));
  }
  assert.deepEqual(parseStrictJson(utf8('{"a":"\\ud83d\\ude00","b":"\\\\ud800","a":1.0}')), {
    a: 1,
    b: '\\ud800',
  });
  assert.deepEqual(parseStrictJson(utf8('"\\\\\\ud83d\\ude00"')), '\\😀');
  refused(() => parseStrictJson(utf8('"\\\\\\ud83d"')));
});

test('JSON: a payload reads lone surrogates as U+FFFD', () => {
  const read = (/** @type {string} */ text) => parseStrictJson(utf8(text), { loneSurrogates: 'replace' });
  assert.deepEqual(read('{"body":"a\\ud800b","x":["\\udc00",{"y":"\\ud83d\\ude00"}]}'), {
    body: 'a\ufffdb',
    x: ['\ufffd', { y: '😀' }],
  });
  assert.equal(read('"\\ud800"'), '\ufffd');
});

test('JSON: depth does not exhaust the stack, and __proto__ is a key like any other', () => {
  const depth = 20000;
  assert.ok(parseStrictJson(utf8('['.repeat(depth) + ']'.repeat(depth))));
  const parsed = parseStrictJson(utf8('{"__proto__":{"polluted":true}}'));
  assert.equal(/** @type {any} */ ({}).polluted, undefined);
  assert.equal(Object.getPrototypeOf(parsed), Object.prototype);
});

test('numbers: integral, 0 … 2^53−1, however written; a boolean is none', () => {
  for (const text of ['0', '1.0', '1e3', '9007199254740991', '-0', '0.5e1'])
    assert.ok(isCount(JSON.parse(text)), text);
  for (const text of ['-1', '0.5', '9007199254740992', 'true', 'null', '"1"', '[1]', '1e300']) {
    assert.equal(isCount(JSON.parse(text)), false, text);
  }
});

test('hex and equality', () => {
  assert.equal(toHex(fromHex('00ff10')), '00ff10');
  for (const bad of ['0', '0g', ' 0']) refused(() => fromHex(bad));
  assert.equal(equal(fromHex('0011'), fromHex('0011')), true);
  assert.equal(equal(fromHex('0011'), fromHex('0012')), false);
  assert.equal(equal(fromHex('0011'), fromHex('00')), false);
});

// Payloads and their padded forms, and what is no padded form (protocol §5).

import { encodeB64u, pad, paddedLength } from '../../../lib/crypto/index.js';
import { stream } from '../fixtures.js';

/** @param {number} length */
const good = (length) => {
  const payload = stream(`padding ${length}`, length);
  return {
    name: `payload of ${length} bytes`,
    valid: true,
    payload: encodeB64u(payload),
    padded: encodeB64u(pad(payload)),
  };
};

/** @param {string} name @param {Uint8Array} padded */
const bad = (name, padded) => ({ name, valid: false, failure: 'bad_padding', padded: encodeB64u(padded) });

const zeros = (/** @type {number} */ length) => new Uint8Array(length);
/** @param {number} length @param {number} at @param {number} byte */
const marked = (length, at, byte = 0x80) => zeros(length).fill(byte, at, at + 1);

/** Cases of padding.json. */
export function make() {
  const lengths = [0, 1, 30, 31, 32, 33, 63, 64, 100, 127, 128, 255, 256, 1000, 1023, 1024, 4095, 4096];
  const large = [10000, 32767, 32768, 63487];
  return {
    construction: 'padding',
    source: 'protocol §5',
    cases: [
      ...lengths.map(good),
      ...large.map((length) => ({
        name: `padded length of ${length} bytes`,
        valid: true,
        length,
        padded_length: paddedLength(length),
      })),
      {
        name: 'a payload that ends as a padding does',
        valid: true,
        payload: 'gAAA',
        padded: encodeB64u(pad(Uint8Array.of(0x80, 0, 0))),
      },
      bad('nothing', zeros(0)),
      bad('the marker alone', marked(1, 0)),
      bad('no marker', zeros(32)),
      bad('another marker', marked(32, 5, 0x01)),
      bad('another marker with the high bit', marked(32, 5, 0x81)),
      bad('shorter than the least', marked(31, 5)),
      bad('one byte longer than the least', marked(33, 5)),
      bad('a step too long', marked(40, 5)),
      bad('twice as long', marked(64, 5)),
      bad('not a Padmé length', marked(65, 64)),
      bad(
        'a byte behind the marker',
        Uint8Array.from(marked(32, 5), (byte, i) => (i === 31 ? 1 : byte)),
      ),
      bad('no room for the marker', zeros(32).fill(7)),
    ],
  };
}

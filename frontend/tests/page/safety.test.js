/** Safety numbers and recovery codes as people see and type them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeQR } from 'qr/decode.js';
import { drawQr, rowsOfDigits } from '../../components/security/safety.js';
import { isSameCode, looksLikeCode } from '../../hooks/recovery.js';

const DIGITS = '37345 10394 00000 99999 12345 67890 11111 22222 33333 44444 55555 66666';

/** Fills the path's modules dark on white, `scale` pixels each. @param {{size: number, path: string}} drawn @param {number} scale */
function paint({ size, path }, scale) {
  const width = size * scale;
  const data = new Uint8Array(width * width * 4).fill(255);
  for (const [, x, y] of path.matchAll(/M(\d+) (\d+)h1v1h-1z/g)) {
    for (let i = 0; i < scale * scale; i += 1) {
      const row = Number(y) * scale + Math.floor(i / scale);
      const column = Number(x) * scale + (i % scale);
      data.fill(0, (row * width + column) * 4, (row * width + column) * 4 + 3);
    }
  }
  return { width, height: width, data };
}

test('the QR code reads back as its text, with a quiet zone of four modules', () => {
  const text = `chatsec:verify:1:${DIGITS.replaceAll(' ', '')}`;
  const drawn = drawQr(text);
  assert.equal(decodeQR(paint(drawn, 5)), text);
  const dark = [...drawn.path.matchAll(/M(\d+) (\d+)/g)].flatMap(([, x, y]) => [Number(x), Number(y)]);
  assert.equal(Math.min(...dark), 4);
  assert.equal(Math.max(...dark), drawn.size - 5);
});

test('60 digits are three rows of four groups', () => {
  const rows = rowsOfDigits(DIGITS);
  assert.deepEqual(
    rows.map((row) => row.length),
    [4, 4, 4],
  );
  assert.equal(rows.flat().join(' '), DIGITS);
});

test('a recovery code is the same however it is typed, and another one is not', () => {
  const code = 'K7QM-2ZXA-9VNT-4HRD-P0WJ-8SCE-1YBG-6F3K';
  for (const typed of [
    code,
    code.toLowerCase(),
    code.replaceAll('-', ' '),
    ' k7qm2zxa9vnt4hrdpOwj8sceLybg6f3k ',
    'K7QM-2ZXA-9VNT-4HRD-POWJ-8SCE-IYBG-6F3K',
  ]) {
    assert.ok(isSameCode(typed, code), typed);
    assert.ok(looksLikeCode(typed), typed);
  }
  assert.ok(!isSameCode(code.replace('K7', 'K8'), code));
  assert.ok(!isSameCode('', code));
  for (const typed of ['', code.slice(0, -1), `${code}A`, code.replace('K', 'U')])
    assert.ok(!looksLikeCode(typed));
});

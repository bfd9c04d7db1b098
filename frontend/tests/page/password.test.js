/** What counts as a password, without the server's help. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgePassword } from '../../hooks/password.js';

/** @param {string} password @param {string} [username] */
const level = async (password, username = 'ann') => (await judgePassword(password, username)).level;

test('short, common, monotonous ones and the own name are refused, with a reason', async () => {
  const refused = [
    '',
    '1234567',
    'password',
    'PassWord',
    'qwertyuiop',
    '1q2w3e4r5t',
    'aaaaaaaaaaaa',
    'abababababab',
  ];
  for (const password of refused) {
    const judged = await judgePassword(password, 'ann');
    assert.equal(judged.level, 0, password);
    assert.ok(judged.problem, password);
  }
  assert.equal(await level('Ann.Example', 'ann.example'), 0);
  assert.equal(await level('x'.repeat(2) + 'yz'.repeat(512)), 0); // over 1,024 characters
});

test('what NFKC turns into a common password is one', async () => {
  assert.equal(await level('ｐａｓｓｗｏｒｄ'), 0);
});

test('ASVS 6.2.1, 6.2.9: length makes the strength; any characters are welcome', async () => {
  assert.equal(await level('blau grün'), 1);
  assert.equal(await level('ходит по лугу'), 2);
  assert.equal(await level('quiet harbour lamp'), 3);
  assert.equal(await level('🐢🐇🦔🐝🦋🐌🐞🦗'), 1);
});

test('ASVS 6.2.4, 6.2.12: the list of common passwords has more than 3,000, and the server is not asked', async () => {
  const { dictionary } = await import('@zxcvbn-ts/language-common');
  const list = dictionary['passwords-common'];
  assert.ok(list.length > 3000, `${list.length}`);
  const long = list.filter((/** @type {string} */ password) => password.length >= 8);
  for (const password of long.slice(0, 1000)) assert.equal(await level(String(password)), 0, `${password}`);
});

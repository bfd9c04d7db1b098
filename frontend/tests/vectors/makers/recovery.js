// Recovery codes: shown, typed back, and what follows from them (protocol §3).

import { encodeB64u, recoverySecrets, showRecoveryCode, wrapBackupKey } from '../../../lib/crypto/index.js';
import { generator, stream } from '../fixtures.js';

const USERNAME = 'alice';
const BACKUP_KEY = stream('recovery B', 32);

/** @param {string} name @param {Uint8Array} code @param {(shown: string) => string} [typing] what a person makes of it */
async function good(name, code, typing = (shown) => shown) {
  const { recoveryKey, recoveryAuth } = await recoverySecrets(code);
  const shown = showRecoveryCode(code);
  return {
    name,
    valid: true,
    code: encodeB64u(code),
    shown,
    typed: typing(shown),
    recovery_key: encodeB64u(recoveryKey),
    recovery_auth: recoveryAuth,
    username: USERNAME,
    backup_key: encodeB64u(BACKUP_KEY),
    wrap: await wrapBackupKey({
      username: USERNAME,
      type: 'recovery',
      key: recoveryKey,
      backupKey: BACKUP_KEY,
      random: generator(`recovery ${name}`),
    }),
  };
}

/** Cases of recovery.json. */
export async function make() {
  const code = stream('recovery code', 20);
  const shown = showRecoveryCode(code);
  const bad = (/** @type {string} */ name, /** @type {string} */ typed) => ({
    name,
    valid: false,
    failure: 'invalid',
    typed,
  });
  return {
    construction: 'recovery',
    source: 'protocol §3, RFC 5869',
    cases: [
      await good('as it is shown', code),
      await good('all zeros', new Uint8Array(20)),
      await good('all ones', new Uint8Array(20).fill(255)),
      await good(
        'every letter',
        Uint8Array.from({ length: 20 }, (_, i) => (i * 73 + 1) & 255),
      ),
      await good('small letters, no hyphens', code, (text) => text.toLowerCase().replaceAll('-', '')),
      await good('blanks in odd places', code, (text) => ` ${[...text].join(' ')}\n`),
      await good('zeros read as letters', new Uint8Array(20), (text) =>
        text.replaceAll('0', 'O').replace('O', 'o'),
      ),
      await good(
        'ones read as letters',
        Uint8Array.from({ length: 20 }, () => 8),
        (text) => text.replace('1', 'I').replace('1', 'l').replace('1', 'L').replace('1', 'i'),
      ),
      bad('empty', ''),
      bad('blanks only', ' - '),
      bad('a letter short', shown.slice(0, -1)),
      bad('a letter more', `${shown}0`),
      bad('a letter that is not used', `U${shown.slice(1)}`),
      bad('a sign', `*${shown.slice(1)}`),
      bad('digits of another script', `\u0661${shown.slice(1)}`),
      bad('full width', `\uff21${shown.slice(1)}`),
      bad('another dash', shown.replace('-', '\u2014')),
    ],
  };
}

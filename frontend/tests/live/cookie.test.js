/** The page's way of refreshing against a real server: an HttpOnly cookie and a CSRF token. Needs CHATSEC_URL. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';

import { io } from 'socket.io-client';

import { createClient, memoryStore } from '../../lib/index.js';
import { until } from '../model/people.js';

const URL = process.env.CHATSEC_URL;

/** A fetch with a cookie jar, as a browser has one. */
function browser() {
  const jar = new Map();
  const fetchWithJar = async (url, init = {}) => {
    const headers = new Headers(init.headers);
    if (jar.size > 0) headers.set('cookie', [...jar].map(([name, value]) => `${name}=${value}`).join('; '));
    const response = await fetch(url, { ...init, headers });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      jar.set(name, value);
    }
    return response;
  };
  return { jar, fetchWithJar };
}

test(
  'register, a new password, reload twice, log out, with the cookie',
  { skip: !URL, timeout: 60_000 },
  async () => {
    const { jar, fetchWithJar } = browser();
    const store = memoryStore();
    const open = () =>
      createClient({ apiUrl: URL, socketUrl: URL, store, fetch: fetchWithJar, io, refreshIn: 'cookie' });
    const username = `cookie-${randomBytes(4).toString('hex')}`;
    const first = open();
    await first.register({ username, displayName: 'Cookie', password: 'a long pass word' });
    const change = { password: 'a long pass word', newPassword: 'another pass word', compromised: false };
    assert.deepEqual(await first.changePassword(change), { recoveryCode: null });
    first.close();
    const account = await store.get('meta', 'account');
    assert.deepEqual(Object.keys(account).sort(), ['csrfToken', 'displayName', 'username']);
    for (let i = 0; i < 2; i++) {
      const again = open();
      assert.equal(await again.restore(), true);
      await until(() => again.getSnapshot().connection === 'online', 'online');
      assert.deepEqual(again.getSnapshot().accountWarnings, []);
      again.close();
    }
    await store.write([{ kind: 'meta', id: 'account', value: { ...account, csrfToken: 'another' } }]);
    const forged = open();
    assert.equal(await forged.restore(), false, 'the cookie alone refreshes nothing');
    forged.close();
    await store.write([{ kind: 'meta', id: 'account', value: account }]);
    const last = open();
    await last.restore();
    await last.logout();
    assert.deepEqual(await store.list('keys'), []);
    assert.ok(
      [...jar.values()].every((value) => value === ''),
      'the cookie is gone',
    );
    last.close();
  },
);

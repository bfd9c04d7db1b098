/** The REST client against a small real HTTP server: problems, tokens, refresh, and answers that are none. */

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';

import { createApi } from '../../lib/api.js';
import { memoryStore } from '../../lib/index.js';

let server;
let url;
let calls;
let answer;

before(async () => {
  server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    const call = {
      method: request.method,
      path: request.url,
      headers: request.headers,
      body: text && JSON.parse(text),
    };
    calls.push(call);
    const { status = 200, type = 'application/json', body = {}, headers = {} } = await answer(call);
    response.writeHead(status, { ...(type && { 'content-type': type }), ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.close());
beforeEach(() => {
  calls = [];
  ended = 0;
});

let ended = 0;
let clock = 0;
const tokens = (n) => ({
  access_token: `access ${n}`,
  refresh_token: `refresh ${n}`,
  expires_in: 900,
  csrf_token: `csrf ${n}`,
});
const problem = (status, code, extra = {}, headers = {}) => ({
  status,
  type: 'application/problem+json',
  body: { type: 'about:blank', title: code, status, code, detail: `about ${code}`, ...extra },
  headers,
});

async function open(options = {}) {
  const store = memoryStore();
  const api = createApi({
    apiUrl: url,
    fetch,
    store,
    now: () => clock,
    locks: undefined,
    refreshIn: 'body',
    onEnded: () => (ended += 1),
    ...options,
  });
  await api.startSession({ user: { username: 'alice', display_name: 'Alice' }, ...tokens(1) });
  return { api, store };
}

test('sends the bearer, the body and the query, and gives the answer', async () => {
  answer = () => ({ body: { items: [] } });
  const { api } = await open();
  assert.deepEqual(await api.request('GET', '/users', { query: { query: 'a b', cursor: undefined } }), {
    items: [],
  });
  assert.equal(calls[0].path, '/api/v1/users?query=a+b');
  assert.equal(calls[0].headers.authorization, 'Bearer access 1');
  answer = () => ({ status: 204, type: '', body: '' });
  assert.equal(await api.request('DELETE', '/chats/x'), null);
});

test('a problem is an error with its code, words, fields and Retry-After', async () => {
  answer = () => problem(409, 'stale_epoch', { epoch: { number: 3 } });
  const { api } = await open();
  const refused = {
    code: 'stale_epoch',
    detail: 'about stale_epoch',
    extra: { status: 409, epoch: { number: 3 } },
  };
  await assert.rejects(api.request('GET', '/x'), refused);
  answer = () => problem(429, 'rate_limited', {}, { 'retry-after': '7' });
  await assert.rejects(api.request('GET', '/x'), {
    code: 'rate_limited',
    extra: { status: 429, retry_after: 7 },
  });
});

test('never takes an odd answer', async () => {
  const { api } = await open();
  const odd = [
    { body: '<html>' },
    { body: '[]' },
    { body: '{"a":1}', type: 'text/html' },
    { body: '{"a":"\\ud800"}' },
    { body: '{}', type: '' },
    { status: 400, body: { code: 'invalid' } },
    problem(400, 'never_heard_of'),
    problem(400, 7),
    { status: 404, type: 'text/html', body: 'not here' },
  ];
  for (const each of odd) {
    answer = () => each;
    await assert.rejects(api.request('GET', '/x'), { code: 'bad_answer' }, JSON.stringify(each));
  }
  answer = () => ({ status: 502, type: 'text/html', body: 'gateway' });
  await assert.rejects(api.request('GET', '/x'), { code: 'unavailable' });
  answer = () => ({ status: 429, type: 'text/html', body: 'slow', headers: { 'retry-after': '2' } });
  await assert.rejects(api.request('GET', '/x'), {
    code: 'rate_limited',
    extra: { status: 429, retry_after: 2 },
  });
});

test('no server is `offline`', async () => {
  const { api } = await open({ apiUrl: 'http://127.0.0.1:1' });
  await assert.rejects(api.request('GET', '/x'), { code: 'offline' });
});

test('an expired token is refreshed once for all who wait, and the request goes again', async () => {
  answer = ({ path, headers }) => {
    if (path.endsWith('/auth/refresh')) return { body: tokens(2) };
    return headers.authorization === 'Bearer access 2' ? { body: { ok: 1 } } : problem(401, 'token_expired');
  };
  const { api, store } = await open();
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => api.request('GET', '/x'))), [
    { ok: 1 },
    { ok: 1 },
    { ok: 1 },
  ]);
  const refreshes = calls.filter(({ path }) => path.endsWith('/refresh'));
  assert.deepEqual(
    refreshes.map(({ body }) => body),
    [{ refresh_token: 'refresh 1' }],
  );
  assert.equal((await store.get('meta', 'account')).refreshToken, 'refresh 2');
});

test('refreshes before the token ends, by its own clock', async () => {
  answer = ({ path }) => ({ body: path.endsWith('/auth/refresh') ? tokens(2) : {} });
  const { api } = await open();
  assert.equal(await api.token(), 'access 1');
  clock = 899_000;
  assert.equal(await api.token(), 'access 2');
  clock = 0;
});

test('a refused refresh ends the session, a failed one does not', async () => {
  answer = () => problem(401, 'unauthorized');
  const { api } = await open();
  await assert.rejects(api.request('GET', '/x'), { code: 'unauthorized' });
  assert.equal(ended, 1);
  answer = ({ path }) =>
    path.endsWith('/refresh') ? problem(503, 'unavailable') : problem(401, 'token_expired');
  const { api: other } = await open();
  await assert.rejects(other.request('GET', '/x'), { code: 'unavailable' });
  assert.equal(ended, 1);
});

test('with the cookie, the refresh token is nowhere here and X-CSRF-Token goes along', async () => {
  answer = () => ({ body: { access_token: 'access 2', expires_in: 900, csrf_token: 'csrf 2' } });
  const { api, store } = await open({ refreshIn: 'cookie' });
  assert.equal((await store.get('meta', 'account')).refreshToken, undefined);
  await api.refresh();
  assert.equal(calls[0].headers['x-csrf-token'], 'csrf 1');
  assert.ok(!JSON.stringify(calls[0].body).includes('refresh 1'));
  await api.refresh();
  assert.equal(calls[1].headers['x-csrf-token'], 'csrf 2');
});

test('where there are locks, a refresh waits for the one of another tab and uses its tokens', async () => {
  const queue = [];
  let held = Promise.resolve();
  const locks = {
    request(name, work) {
      queue.push(name);
      held = held.then(work);
      return held;
    },
  };
  answer = ({ body }) => ({ body: tokens(Number(body.refresh_token.split(' ')[1]) + 1) });
  const { api, store } = await open({ locks });
  const tab = createApi({
    apiUrl: url,
    fetch,
    store,
    now: () => clock,
    locks,
    refreshIn: 'body',
    onEnded: () => (ended += 1),
  });
  await Promise.all([api.refresh(), tab.refresh()]);
  assert.deepEqual(
    calls.map(({ body }) => body.refresh_token),
    ['refresh 1', 'refresh 2'],
  );
  assert.equal(new Set(queue).size, 1);
});

test('what is asked while the session ends is refused by name', async () => {
  const { api } = await open();
  clock += 900_000; // the next request refreshes first
  answer = () => ({ body: tokens(2) });
  const refreshed = api.refresh().then(() => api.forget());
  await assert.rejects(api.request('GET', '/x'), { code: 'unauthorized' });
  await refreshed;
  assert.deepEqual(
    calls.map(({ path }) => path),
    ['/api/v1/auth/refresh'],
  );
});

test('a session answer without its tokens is refused', async () => {
  const { api } = await open();
  const user = { username: 'alice', display_name: 'Alice' };
  await assert.rejects(api.startSession({ user, ...tokens(1), access_token: 7 }), { code: 'bad_answer' });
  await assert.rejects(api.startSession({ user, ...tokens(1), refresh_token: undefined }), {
    code: 'bad_answer',
  });
});

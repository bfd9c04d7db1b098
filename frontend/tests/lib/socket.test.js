/** The socket's manners: emits only while connected, names every ack, comes back after a refusal by refreshing first. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { createSocket } from '../../lib/socket.js';

let raw;
let log;
let waits;
let accepts;

/** As much of socket.io-client as is used; the test plays the server. */
function fakeIo(url, options) {
  const handlers = {};
  raw = {
    url,
    options,
    connected: false,
    active: false,
    ack: async () => ({ ok: true }),
    on: (name, handler) => (handlers[name] = handler),
    fire: (name, value) => handlers[name]?.(value),
    connect() {
      log.push('connect');
      options.auth(({ token }) => {
        log.push(`token ${token}`);
        raw.connected = accepts(token);
        raw.fire(raw.connected ? 'connect' : 'connect_error', new Error('unauthorized'));
      });
    },
    disconnect() {
      raw.connected = false;
    },
    timeout: (ms) => ({
      emitWithAck: (name, payload) => (log.push(`emit ${name} ${ms > 0}`), raw.ack(name, payload)),
    }),
  };
  return raw;
}

const ticks = async (count = 20) => {
  for (let i = 0; i < count; i++) await null;
};

let fresh = 0;
const open = (more = {}) =>
  createSocket({
    io: fakeIo,
    socketUrl: 'https://chat.example',
    token: async () => `t${fresh}`,
    refresh: async () => {
      log.push('refresh');
      fresh += 1;
    },
    wait: async (ms) => {
      waits.push(ms);
    },
    jitter: () => 0,
    onState: (state) => log.push(state),
    onPush: (name, payload) => log.push([name, payload]),
    ...more,
  });

beforeEach(() => {
  log = [];
  waits = [];
  fresh = 0;
  accepts = () => true;
});

test('connects by websocket on /chat with a token fetched then', async () => {
  const socket = open();
  assert.deepEqual(log, [], 'nothing before it is asked');
  socket.open();
  await ticks();
  assert.deepEqual([raw.url, raw.options.transports], ['https://chat.example/chat', ['websocket']]);
  assert.deepEqual(log, ['connecting', 'connect', 'token t0', 'online']);
});

test('a refusal is met by a refresh, ever more slowly, never by the same token', async () => {
  accepts = (token) => token === 't3';
  const socket = open();
  socket.open();
  await ticks(60);
  assert.deepEqual(
    log.filter((each) => String(each).startsWith('token')),
    ['token t0', 'token t1', 'token t2', 'token t3'],
  );
  assert.equal(log.filter((each) => each === 'refresh').length, 3);
  assert.deepEqual(waits, [250, 500, 1000]);
  assert.equal(log.at(-1), 'online');
});

test('the back-off has a bound and jitter', async () => {
  let tries = 0;
  accepts = () => (tries += 1) > 12;
  open({ jitter: () => 0.999 }).open();
  await ticks(400);
  assert.ok(Math.max(...waits) <= 20_000);
  assert.ok(waits[0] > 490 && waits[0] <= 500);
});

test('without a token it connects all the same, to be refused', async () => {
  const socket = open({ token: () => Promise.reject(new Error('offline')) });
  accepts = (token) => token !== '';
  socket.open();
  await ticks(4);
  assert.ok(log.includes('token '));
  socket.close();
});

test('after close nothing comes back', async () => {
  accepts = () => false;
  const socket = open();
  socket.open();
  socket.close();
  const connects = log.filter((each) => each === 'connect').length;
  await ticks(60);
  assert.equal(log.filter((each) => each === 'connect').length, connects);
});

test('emits only while connected', async () => {
  const socket = open();
  await assert.rejects(socket.emit('typing', {}), { code: 'offline' });
  assert.deepEqual(log, []);
  socket.open();
  await ticks();
  raw.ack = async (name, payload) => ({ ok: true, name, payload });
  assert.deepEqual(await socket.emit('typing', { a: 1 }), { ok: true, name: 'typing', payload: { a: 1 } });
  assert.equal(log.at(-1), 'emit typing true');
});

test('acks: refusals by their code and fields, late ones, odd ones', async () => {
  const socket = open();
  socket.open();
  await ticks();
  raw.ack = async () => ({ ok: false, code: 'stale_epoch', detail: 'moved', epoch: { number: 2 } });
  await assert.rejects(socket.emit('x', {}), {
    code: 'stale_epoch',
    detail: 'moved',
    extra: { epoch: { number: 2 } },
  });
  raw.ack = async () => {
    throw new Error('operation has timed out');
  };
  await assert.rejects(socket.emit('x', {}), { code: 'timeout' });
  for (const odd of [
    undefined,
    null,
    'ok',
    [],
    {},
    { ok: 1 },
    { ok: 'true' },
    { ok: false },
    { ok: false, code: 'never_heard_of' },
  ]) {
    raw.ack = async () => odd;
    await assert.rejects(socket.emit('x', {}), { code: 'bad_answer' }, JSON.stringify(odd));
  }
});

test('hands on what is pushed', async () => {
  open().open();
  await ticks();
  raw.fire('presence:list', [1]);
  raw.fire('chat:removed', { chat: 'x' });
  assert.deepEqual(log.slice(-2), [
    ['presence:list', [1]],
    ['chat:removed', { chat: 'x' }],
  ]);
});

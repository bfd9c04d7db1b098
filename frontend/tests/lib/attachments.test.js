/** Files beside a chat: what arrives is what was sent, or is named; cuts, cancelling, and what a server may do to them. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';

import { hash, SEGMENT, sealedSize } from '../../lib/crypto/index.js';
import { clientOf, enter, settle, until } from '../model/people.js';
import { ModelServer } from '../model/server.js';

const NAME = 'the-name-of-the-file.txt';
const SIZES = [0, 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT + 777];

/** @type {Record<string, any>} */
let all;
/** What happens to requests for files: (url, init, fetch) → answer. */
let onFile = null;

before(async () => {
  const server = new ModelServer();
  const people = await settle(server, ['alice', 'bob', 'carol']);
  const { fetch } = server.transport('bob');
  const seen = [];
  const watched = async (url, init) => {
    if (!String(url).includes('/attachments')) return fetch(url, init);
    seen.push({ url: String(url), headers: init.headers });
    return onFile ? onFile(url, init, fetch) : fetch(url, init);
  };
  const [alice, bob, carol] = [
    await enter(server, people.get('alice')),
    await enter(server, people.get('bob'), 'bob', { fetch: watched }),
    await enter(server, people.get('carol')),
  ];
  const chat = await alice.startChat({ usernames: ['bob'] });
  for (const client of [alice, bob]) await client.openChat(chat);
  await bob.acceptServerMade(chat);
  all = { server, people, alice, bob, carol, chat, seen };
});

after(() => [all.alice, all.bob, all.carol].forEach((client) => client.close()));

const fileOf = (size) => new Blob([randomBytes(size)]);
const same = async (a, b) =>
  assert.ok(Buffer.from(await a.arrayBuffer()).equals(Buffer.from(await b.arrayBuffer())), 'the same bytes');

/** Puts a file as Alice, who sends it to Bob; what he is told of it. */
async function sent(size, mime = 'text/plain', options = {}) {
  const { alice, bob, chat } = all;
  const file = fileOf(size);
  const attachment = await alice.attach(chat, file, { name: NAME, mime, ...options });
  await alice.send(chat, { body: 'a file', attachments: [attachment] }, 'Ed25519');
  const told = await until(() => {
    const { payload } = bob.getSnapshot().open[chat].items.at(-1);
    return payload?.attachments?.[0].id === attachment.id && payload.attachments[0];
  }, 'the message');
  assert.deepEqual(told, attachment);
  return { file, told };
}

/** @param {any} told @param {any} lie @param {string} code */
async function refused(told, lie, code) {
  all.server.lies.file = lie && ((_, id, honest) => (id === told.id ? lie(honest) : honest));
  try {
    await assert.rejects(all.bob.openAttachment(all.chat, told), { code });
  } finally {
    delete all.server.lies.file;
  }
}

for (const size of SIZES) {
  test(`a file of ${size} bytes`, async () => {
    const done = [];
    const { file, told } = await sent(size, 'text/plain', { onProgress: (amount) => done.push(amount) });
    const of = sealedSize(size);
    assert.equal(told.size, size);
    assert.deepEqual(
      [done[0], done.at(-1)],
      [
        { done: 0, of },
        { done: of, of },
      ],
    );
    const { bob, chat, server } = all;
    const stored = server.chats.get(chat).files.get(told.id);
    assert.equal(await hash(new Uint8Array(stored)), told.sha256);
    const amounts = [];
    const opened = await bob.openAttachment(chat, told, { onProgress: (amount) => amounts.push(amount) });
    await same(opened, file);
    assert.ok(amounts.every(({ done: now }, i) => i === 0 || now >= amounts[i - 1].done));
    assert.deepEqual(amounts.at(-1), { done: of, of });
  });
}

test('every upload has a key of its own, and the server learns neither name nor type', async () => {
  const { alice, bob, chat, seen, server } = all;
  const file = fileOf(100);
  seen.length = 0;
  const options = { name: NAME, mime: 'text/x-secret' };
  const [one, other] = [await bob.attach(chat, file, options), await bob.attach(chat, file, options)];
  assert.notEqual(one.key, other.key);
  assert.notEqual(one.sha256, other.sha256);
  await same(await alice.openAttachment(chat, one), file);
  const told = JSON.stringify([seen, server.sent]);
  for (const secret of [NAME, 'x-secret', one.key, one.nonce]) assert.ok(!told.includes(secret));
  assert.equal(seen[0].headers['content-type'], 'application/octet-stream');
});

test('what is opened never has a type that a browser would run', async () => {
  const { alice, chat } = all;
  const file = fileOf(10);
  for (const [mime, type] of [
    ['image/png', 'image/png'],
    ['image/webp', 'image/webp'],
    ['image/svg+xml', 'application/octet-stream'],
    ['text/html', 'application/octet-stream'],
    ['IMAGE/PNG', 'application/octet-stream'],
    ['', 'application/octet-stream'],
  ]) {
    const told = await alice.attach(chat, file, { name: NAME, mime });
    assert.equal(told.mime, mime);
    assert.equal((await alice.openAttachment(chat, told)).type, type, mime);
  }
});

test('whatever the server does to a file is named', async () => {
  const { told } = await sent(SEGMENT + 5);
  const other = await sent(SEGMENT + 5);
  const flipped = (at) => (honest) => {
    const bytes = Uint8Array.from(honest);
    bytes.set([bytes.at(at) ^ 1], at < 0 ? bytes.length + at : at);
    return bytes;
  };
  for (const lie of [
    flipped(0),
    flipped(SEGMENT + 3),
    flipped(-1),
    (honest) => honest.slice(0, -1),
    (honest) => honest.slice(0, SEGMENT + 16),
    (honest) => Buffer.concat([honest, Buffer.from('x')]),
    () => new Uint8Array(0),
    () => new Uint8Array(sealedSize(SEGMENT + 5)),
    () => all.server.chats.get(all.chat).files.get(other.told.id),
  ])
    await refused(told, lie, 'bad_attachment');
  await all.bob.openAttachment(all.chat, told);
});

test('whatever the sender told wrong is named', async () => {
  const { told } = await sent(SEGMENT + 5);
  await refused({ ...told, size: told.size + 1 }, null, 'bad_attachment');
  await refused({ ...told, size: told.size - 1 }, null, 'bad_attachment');
  await refused({ ...told, sha256: told.key }, null, 'bad_attachment');
  await refused({ ...told, key: told.sha256 }, null, 'undecryptable');
  await refused({ ...told, size: 1e15 }, null, 'too_large');
  await refused({ ...told, id: '../secrets' }, null, 'malformed');
  await refused({ ...told, id: '00000000-0000-4000-8000-000000000000' }, null, 'not_found');
  await assert.rejects(all.carol.openAttachment(all.chat, told), { code: 'not_found' }, 'no member');
});

test('more than the server takes is refused before it is read', async () => {
  const huge = /** @type {any} */ ({
    size: 100 * SEGMENT,
    slice: () => assert.fail('read'),
  });
  await assert.rejects(all.alice.attach(all.chat, huge, { name: NAME, mime: '' }), { code: 'too_large' });
});

/** The first bytes of an answer, then a broken connection. */
const cutAfter = (count) => async (url, init, fetch) => {
  const answer = await fetch(url, init);
  const parts = [new Uint8Array(await answer.arrayBuffer()).subarray(0, count)];
  const body = new ReadableStream(
    {
      pull(controller) {
        const part = parts.pop();
        if (part?.length) controller.enqueue(part);
        else controller.error(new TypeError('terminated'));
      },
    },
    { highWaterMark: 0 }, // a stream that fails drops what it holds
  );
  return new Response(body, { status: answer.status, headers: answer.headers });
};

/** What each request for a file meets, one after the other. @param {...any} fates */
function fates(...list) {
  const asked = [];
  onFile = (url, init, fetch) => {
    asked.push(init.headers.range ?? null);
    const fate = list.shift();
    return fate ? fate(url, init, fetch) : fetch(url, init);
  };
  return asked;
}

test('a download that breaks off is resumed once, where it was', async (t) => {
  const { bob, chat } = all;
  const { file, told } = await sent(2 * SEGMENT + 777);
  t.afterEach(() => {
    onFile = null;
  });
  const at = SEGMENT + 500_000;
  await t.test('with the rest', async () => {
    const asked = fates(cutAfter(at));
    await same(await bob.openAttachment(chat, told), file);
    assert.deepEqual(asked, [null, `bytes=${at}-`]);
  });
  await t.test('with the whole again, of which only the rest counts', async () => {
    const whole = (url, { headers: { range, ...headers }, ...init }, fetch) => {
      assert.ok(range);
      return fetch(url, { ...init, headers });
    };
    fates(cutAfter(at), whole);
    await same(await bob.openAttachment(chat, told), file);
  });
  await t.test('not twice', async () => {
    const asked = fates(cutAfter(at), cutAfter(1000), cutAfter(1000));
    await assert.rejects(bob.openAttachment(chat, told), { code: 'offline' });
    assert.equal(asked.length, 2);
  });
  await t.test('from the beginning, where nothing came', async () => {
    const unanswered = async () => {
      throw new TypeError('fetch failed');
    };
    for (const cut of [cutAfter(0), unanswered]) {
      const asked = fates(cut);
      await same(await bob.openAttachment(chat, told), file);
      assert.deepEqual(asked, [null, null]);
      fates(cut, cut);
      await assert.rejects(bob.openAttachment(chat, told), { code: 'offline' });
    }
  });
  await t.test('another rest than the beginning is of is not taken', async () => {
    const wrong = async (url, init, fetch) => {
      const answer = await fetch(url, init);
      const bytes = new Uint8Array(await answer.arrayBuffer());
      bytes[5] ^= 1;
      return new Response(bytes, { status: 206, headers: answer.headers });
    };
    fates(cutAfter(at), wrong);
    await assert.rejects(bob.openAttachment(chat, told), { code: 'bad_attachment' });
  });
});

test('cancelling stops it, both ways', async (t) => {
  const { bob, chat, server } = all;
  const { told } = await sent(3 * SEGMENT);
  const files = server.chats.get(chat).files;
  const before = files.size;
  t.after(() => {
    onFile = null;
  });
  const stop = new AbortController();
  stop.abort();
  const wrapped = { name: NAME, mime: '' };
  await assert.rejects(bob.attach(chat, fileOf(10), { ...wrapped, signal: stop.signal }), {
    name: 'AbortError',
  });
  const later = new AbortController();
  onFile = async (url, init) => {
    later.abort();
    init.signal.throwIfAborted();
  };
  await assert.rejects(bob.attach(chat, fileOf(10), { ...wrapped, signal: later.signal }), {
    name: 'AbortError',
  });
  onFile = null;
  assert.equal(files.size, before, 'nothing was stored');
  const amid = new AbortController();
  const onProgress = ({ done }) => done > 0 && amid.abort();
  await assert.rejects(bob.openAttachment(chat, told, { signal: amid.signal, onProgress }), {
    name: 'AbortError',
  });
  assert.equal((await bob.openAttachment(chat, told)).size, told.size);
});

test('a token that ended is renewed, and the file sent again', async (t) => {
  const { server, bob, chat } = all;
  t.after(() => {
    onFile = null;
  });
  const refuse = async () => {
    const problem = { type: 'about:blank', title: 'x', status: 401, code: 'token_expired' };
    const headers = { 'content-type': 'application/problem+json' };
    return new Response(JSON.stringify(problem), { status: 401, headers });
  };
  const file = fileOf(1000);
  fates(refuse);
  const told = await bob.attach(chat, file, { name: NAME, mime: '' });
  fates(refuse);
  await same(await bob.openAttachment(chat, told), file);
  assert.ok(server.chats.get(chat).files.has(told.id));
});

test('a chat that asks first is asked before a file leaves', async () => {
  const { server, people } = all;
  const clean = await enter(server, people.get('bob'), 'bob 2');
  await until(() => clean.getSnapshot().chats.length > 0, 'chats');
  await assert.rejects(clean.attach(all.chat, fileOf(1), { name: NAME, mime: '' }), {
    code: 'consent_needed',
  });
  clean.close();
  await assert.rejects(clientOf(server, 'x').attach(all.chat, fileOf(1), { name: NAME, mime: '' }), {
    code: 'unauthorized',
  });
});

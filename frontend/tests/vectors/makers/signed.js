// Logs and shares of a `combined` chat as the library makes them, whole and tampered with (protocol, Words and §4).
//
// A case has `versions`: how many bundles of each of the file's `people` are known. Kind `log`: `entries` from the first
// on with their `hashes`; who had gone before is not known. Kind `share`: the share that opens `epoch` and serves the
// entry `membership`, as `username` opens it with `private_key`, and the epoch key that it makes with `server_secret`.

import {
  currentLink,
  emptyLog,
  encodeB64u,
  epochKey,
  combinedSecret,
  extendLog,
  importPrivate,
  lineOf,
  makeBundle,
  makeEntry,
  makeShare,
  nextEntry,
  recipientsFor,
  walkBundles,
} from '../../../lib/crypto/index.js';
import { CHAT, encryptOaep, flip, OTHER_CHAT, stream, testKeys } from '../fixtures.js';

const AT = '2026-11-24T18:00:00.123Z';

/** @typedef {Record<string, Record<string, import('../fixtures.js').Key>>} KeySets */

/** Whose keys each bundle has; the second of bob follows by continuity, that of carol is a reset. */
const BUNDLES = [
  { username: 'alice', set: 'alice', version: 1 },
  { username: 'bob', set: 'bob', version: 1 },
  { username: 'bob', set: 'alice', version: 2, link: 'bob' },
  { username: 'carol', set: 'bob', version: 1 },
  { username: 'carol', set: 'alice', version: 2 },
  { username: 'dave', set: 'alice', version: 1 },
];

/** @param {KeySets} sets @returns {Promise<Record<string, any[]>>} username → bundles, oldest first */
async function peopleOf(sets) {
  /** @type {Record<string, any[]>} */
  const people = {};
  let previous = '';
  for (const { username, set, version, link } of BUNDLES) {
    const keys = [sets[set].Ed25519, sets[set]['RSA-OAEP-256']];
    const linked = link ? { previous, link: sets[link].Ed25519 } : {};
    const { bundle, hash } = await makeBundle({ username, version, keys, ...linked });
    (people[username] ??= []).push(bundle);
    previous = hash;
  }
  return people;
}

/** @typedef {Record<string, number>} Versions username → how many bundles are known */
const FIRST = { alice: 1, bob: 1, carol: 1, dave: 1 };
const LATER = { ...FIRST, bob: 2 };
const RESET = { ...LATER, carol: 2 };

/** A chat that grows change by change. */
class Chat {
  /** @param {KeySets} sets @param {Record<string, any[]>} people */
  constructor(sets, people) {
    this.sets = sets;
    this.people = people;
    this.log = emptyLog();
    /** @type {any[]} */
    this.objects = [];
  }

  /** @param {Versions} versions @returns {Promise<import('../../../lib/crypto/lines.js').LineOf>} */
  async lines(versions) {
    const lines = new Map();
    for (const [username, count] of Object.entries(versions)) {
      const { steps } = await walkBundles(username, null, this.people[username].slice(0, count));
      lines.set(username, lineOf(username, steps));
    }
    return (username) => lines.get(username);
  }

  /** @param {string} by @param {Versions} versions */
  async author(by, versions) {
    const line = (await this.lines(versions))(by);
    const { set } = BUNDLES.find(({ username, version }) => username === by && version === versions[by]) ?? {
      set: '',
    };
    const { alg, kid, pkcs8 } = this.sets[set].Ed25519;
    const keys = (line && currentLink(line)?.hash) ?? '';
    return { author: { by, keys }, signer: { alg, kid, key: await importPrivate(alg, pkcs8) } };
  }

  /** @param {Versions} versions @param {string} op @param {string} by @param {any} wanted @param {string} [chat] */
  async entry(versions, op, by, wanted, chat = CHAT) {
    const lines = await this.lines(versions);
    const next = nextEntry({ op, by, before: this.log.entries.at(-1) ?? null, lineOf: lines, ...wanted });
    return makeEntry({ chat, at: AT, next, ...(await this.author(by, versions)) });
  }

  /** @param {Versions} versions @param {string} op @param {string} by @param {any} [wanted] */
  async change(versions, op, by, wanted) {
    const { object } = await this.entry(versions, op, by, wanted);
    this.objects.push(object);
    this.log = await extendLog(this.log, [object], { chat: CHAT, lineOf: await this.lines(versions) });
    if (this.log.failure) throw new Error(`${op}: ${this.log.failure}`);
    return this;
  }
}

/** Every op once. @param {KeySets} sets @param {Record<string, any[]>} people */
async function whole(sets, people) {
  const chat = new Chat(sets, people);
  await chat.change(FIRST, 'create', 'alice', { usernames: ['bob', 'carol'], name: 'Team' });
  await chat.change(FIRST, 'rename', 'alice', { name: 'Zoë 🦊' });
  await chat.change(FIRST, 'role', 'alice', { usernames: ['bob'], role: 'owner' });
  await chat.change(LATER, 'add', 'bob', { usernames: ['dave'], role: 'owner' });
  await chat.change(LATER, 'remove', 'dave', { usernames: ['alice'] });
  await chat.change(RESET, 'keys', 'bob', { usernames: ['carol'] });
  await chat.change(RESET, 'retire', 'bob', { gone: new Set(['dave']) });
  return chat.change(RESET, 'leave', 'bob');
}

/** @param {KeySets} sets @param {Record<string, any[]>} people */
async function logs(sets, people) {
  const chat = await whole(sets, people);
  const { objects } = chat;
  const hashes = chat.log.entries.map(({ hash }) => hash);
  const good = (/** @type {string} */ name, /** @type {number} */ count, versions = RESET) => ({
    name,
    valid: true,
    kind: 'log',
    chat: CHAT,
    versions,
    entries: objects.slice(0, count),
    hashes: hashes.slice(0, count),
  });
  const bad = (/** @type {string} */ name, /** @type {any[]} */ entries, versions = RESET) => ({
    ...good(name, 0, versions),
    valid: false,
    failure: 'invalid_membership',
    entries,
  });
  const twin = new Chat(sets, people);
  await twin.change(FIRST, 'create', 'alice', { usernames: ['bob', 'carol'], name: 'Other' });
  const { object: next } = await twin.entry(FIRST, 'rename', 'alice', { name: 'Zoë' });
  const { object: foreign } = await new Chat(sets, people).entry(
    FIRST,
    'create',
    'alice',
    { usernames: [] },
    OTHER_CHAT,
  );
  const [first, second, third] = objects;
  const changed = (/** @type {string} */ text) => encodeB64u(flip(Buffer.from(text, 'base64url'), 7));
  return [
    good('the first entry', 1, FIRST),
    good('every op', objects.length),
    bad(
      'an entry left out',
      objects.filter((_, i) => i !== 1),
    ),
    bad('two exchanged', [first, third, second]),
    bad('an entry twice', [first, second, second]),
    bad('the first is missing', objects.slice(1)),
    bad('follows the entry of another log', [first, next]),
    bad('of another chat', [foreign]),
    bad('the signature of another entry', [first, { ...second, signature: first.signature }]),
    bad('a signature changed', [{ ...first, signature: changed(first.signature) }]),
    bad('bytes changed', [{ ...first, protected: changed(first.protected) }]),
    bad('keys that nobody knows yet', objects, LATER),
  ];
}

/** A share of an entry, with wraps that come out the same each time. @param {Chat} chat @param {Versions} versions
 * @param {number} epoch @param {string} by */
async function share(chat, versions, epoch, by) {
  const entry = /** @type {import('../../../lib/crypto/membership.js').Entry} */ (chat.log.entries.at(-1));
  return makeShare({
    chat: CHAT,
    epoch,
    membership: entry.hash,
    ...recipientsFor(entry, await chat.lines(versions)),
    ...(await chat.author(by, versions)),
    at: AT,
    secret: stream(`C ${epoch}`, 32),
    wrap: async (spki, secret, label) => encryptOaep(spki, secret, label, stream(`seed ${epoch}`, 32)),
  });
}

/** @param {KeySets} sets @param {Record<string, any[]>} people */
async function shares(sets, people) {
  const chat = new Chat(sets, people);
  await chat.change(FIRST, 'create', 'alice', { usernames: ['bob', 'carol'], name: null });
  const [entry] = chat.objects;
  const one = await share(chat, FIRST, 1, 'alice');
  const two = await share(chat, RESET, 2, 'bob');
  const serverSecret = stream('S', 32);
  /** @param {string} name @param {typeof one} made @param {Versions} versions @param {string} username @param {any} [changes] */
  const base = (name, { object, share: read }, versions, username, changes) => {
    const set =
      BUNDLES.findLast((one_) => one_.username === username && one_.version === versions[username])?.set ??
      '';
    return {
      name,
      kind: 'share',
      chat: CHAT,
      versions,
      entry,
      epoch: read.epoch,
      share: object,
      hash: read.hash,
      username,
      private_key: encodeB64u(sets[set]['RSA-OAEP-256'].pkcs8),
      server_secret: encodeB64u(serverSecret),
      ...changes,
    };
  };
  /** @param {string} name @param {typeof one} made @param {Versions} versions @param {string} username */
  const good = async (name, made, versions, username) => {
    const { epoch, hash: shareHash } = made.share;
    const clientSecret = stream(`C ${epoch}`, 32);
    const secret = await combinedSecret({ chat: CHAT, epoch, serverSecret, clientSecret, share: shareHash });
    const { kc } = await epochKey(secret);
    const opened = { secret: encodeB64u(clientSecret), epoch_key: encodeB64u(secret), kc };
    return { ...base(name, made, versions, username), valid: true, ...opened };
  };
  const bad = (/** @type {string} */ name, /** @type {string} */ failure, /** @type {any} */ changes) => ({
    ...base(name, one, FIRST, 'bob', changes),
    valid: false,
    failure,
  });
  const { wraps } = one.object;
  const wrapped = (/** @type {string} */ bob) => ({ share: { ...one.object, wraps: { ...wraps, bob } } });
  return [
    await good('for its author', one, FIRST, 'alice'),
    await good('for another member', one, FIRST, 'bob'),
    await good('under a newer bundle, one excluded', two, RESET, 'bob'),
    bad('for another epoch', 'bad_share', { epoch: 2 }),
    bad('the signature of another share', 'bad_share', {
      share: { ...one.object, signature: two.object.signature },
    }),
    bad("another member's wrap", 'bad_share', wrapped(wraps.alice)),
    bad('the wrap of another epoch', 'bad_share', wrapped(two.object.wraps.bob)),
    bad('a key that is not mine', 'wrong_recipient_key', {
      private_key: encodeB64u(sets.alice['RSA-OAEP-256'].pkcs8),
    }),
    bad('serves the entry of another chat', 'bad_share', { entry: (await twinEntry(sets, people)).object }),
    bad('an S_e of 31 bytes', 'undecryptable', { server_secret: encodeB64u(serverSecret.slice(1)) }),
  ];
}

/** @param {KeySets} sets @param {Record<string, any[]>} people */
const twinEntry = (sets, people) =>
  new Chat(sets, people).entry(FIRST, 'create', 'alice', { usernames: ['bob', 'carol'], name: 'Other' });

/** Cases of signed.json. */
export async function make() {
  const sets = await testKeys();
  const people = await peopleOf(sets);
  const cases = [...(await logs(sets, people)), ...(await shares(sets, people))];
  return { construction: 'signed', source: 'protocol, Words and §4', people, cases };
}

/**
 * People for the model: accounts with cheap keys (Ed25519 to sign, RSA-3072 to wrap, made once per process), and
 * clients that are the real ones, joined to the model server.
 */

import { readFileSync } from 'node:fs';

import {
  decodeB64u,
  encodeB64u,
  encodeText,
  generateKey,
  judgeBundle,
  kidOf,
  makeBundle,
  newBackupKey,
  newKdf,
  openBackup,
  publicOf,
  sealBackup,
  sha256,
  unwrapBackupKey,
  wrapBackupKey,
} from '../../lib/crypto/index.js';
import { createClient, memoryStore } from '../../lib/index.js';

export const NAMES = ['alice', 'bob', 'carol', 'dave', 'erin'];

/** Stands for Argon2id, whose cost is not what is tested here. */
export async function cheapKdf(password) {
  return {
    auth: encodeB64u(await sha256(encodeText(`auth ${password}`))),
    passwordKey: await sha256(encodeText(`key ${password}`)),
  };
}

/** Ready private keys, made once for all tests: RSA keys are slow to make. */
const READY = JSON.parse(readFileSync(new URL('../../../tests/support/keys.json', import.meta.url), 'utf8'));
let drawn = 0;

/** The next ready wrapping key; people may share one, as far as it matters here. */
async function wrappingKey() {
  const pkcs8 = decodeB64u(READY[drawn++ % READY.length]['RSA-OAEP-256']);
  return keyOf('RSA-OAEP-256', await publicOf('RSA-OAEP-256', pkcs8), pkcs8);
}

async function signingKey() {
  const { spki, pkcs8 } = await generateKey('Ed25519');
  return keyOf('Ed25519', spki, pkcs8);
}

const keyOf = async (alg, spki, pkcs8) => ({ alg, kid: await kidOf(spki), spki, pkcs8 });

/** Keys of one person, cheap ones: Ed25519 to sign, RSA-3072 to wrap. */
export const newKeys = async () => [await wrappingKey(), await signingKey()];

/** An account's keys, bundles and backup, as its client would have made them. */
export class Identity {
  constructor(username) {
    this.username = username;
    this.password = `password of ${username}`;
    this.kdf = newKdf();
    this.version = 0;
    this.hash = '';
    this.keys = [];
    this.retired = [];
    this.backupVersion = 0;
    this.backupKey = newBackupKey();
    this.stateN = 0;
  }

  /**
   * A new version of the bundle.
   * @param {{linked?: boolean, keys?: any[], account?: any}} [how] `linked`: whether the old key vouches for it;
   *   `account`: as the server holds it, with what its clients made of it since
   */
  async renew({ linked = true, keys, account } = {}) {
    if (account) await this.catchUp(account);
    const link = this.keys.find(({ alg }) => alg === 'Ed25519');
    const next = keys ?? (await newKeys());
    const continues = linked && this.version > 0;
    this.version += 1;
    const parts = { username: this.username, version: this.version, keys: next };
    const { bundle, hash } = await makeBundle(continues ? { ...parts, previous: this.hash, link } : parts);
    this.retired.push(...this.keys);
    Object.assign(this, { keys: next, hash, bundle });
    this.backup = await this.#backup();
    return { bundle, backup: this.backup };
  }

  /** Keys and backup as they stand at the server now. */
  async catchUp({ username, backup, bundles }) {
    const { passwordKey: key } = await cheapKdf(this.password);
    const backupKey = await unwrapBackupKey({ username, backup, type: 'password', key });
    const secrets = await openBackup({ username, backup, backupKey });
    this.keys = await Promise.all(secrets.keys.map(opened));
    this.retired = await Promise.all(secrets.retired.map(opened));
    const { hash, version } = await judgeBundle(username, bundles.at(-1));
    const { version: backupVersion } = backup;
    Object.assign(this, { hash, version, backupVersion, backupKey, stateN: secrets.state_n });
  }

  async #backup() {
    const { username, backupKey } = this;
    const { passwordKey: key } = await cheapKdf(this.password);
    const stored = (list) => list.map(({ alg, kid, pkcs8 }) => ({ alg, kid, pkcs8: encodeB64u(pkcs8) }));
    const secrets = {
      keys_version: this.version,
      keys: stored(this.keys),
      retired: stored(this.retired),
      state_n: this.stateN,
    };
    const wraps = [await wrapBackupKey({ username, type: 'password', key, backupKey })];
    this.backupVersion += 1;
    return sealBackup({ username, version: this.backupVersion, secrets, backupKey, wraps });
  }

  async account() {
    const { bundle, backup } = this.version > 0 ? this : await this.renew();
    const { auth: password } = await cheapKdf(this.password);
    return { username: this.username, password, kdf: this.kdf, backup, bundle };
  }
}

/** A key out of a backup. */
async function opened({ alg, kid, pkcs8: text }) {
  const pkcs8 = decodeB64u(text);
  return { alg, kid, spki: await publicOf(alg, pkcs8), pkcs8 };
}

/** Adds accounts to a server. @returns {Promise<Map<string, Identity>>} */
export async function settle(server, names) {
  const identities = new Map();
  for (const name of names) {
    const identity = new Identity(name);
    server.addAccount(await identity.account());
    identities.set(name, identity);
  }
  return identities;
}

/** A client of the model; `wait` never sleeps for long, so that back-off costs nothing. */
export function clientOf(server, device, { store = memoryStore(), pageSize = 4, ...more } = {}) {
  const wait = () => new Promise((resolve) => setImmediate(resolve));
  const client = createClient({
    ...server.transport(device),
    store,
    kdf: cheapKdf,
    refreshIn: 'body',
    wait,
    pageSize,
    ...more,
  });
  return Object.assign(client, { store, device });
}

/** Logs an identity in on a clean device. */
export async function enter(server, identity, device = identity.username, options = {}) {
  const client = clientOf(server, device, options);
  await client.login({ username: identity.username, password: identity.password });
  await until(() => client.getSnapshot().connection === 'online', 'online');
  return client;
}

/** Polls a condition; a condition that never comes true names itself. */
export async function until(condition, what, ms = 10_000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** All of a chat, from its first item on. */
export async function loadAll(client, chat) {
  await client.openChat(chat);
  for (let view = client.getSnapshot().open[chat]; !view.atStart; view = client.getSnapshot().open[chat]) {
    const first = view.items[0]?.seq;
    await client.loadOlder(chat);
    if (client.getSnapshot().open[chat].items[0]?.seq === first) break;
  }
  return client.getSnapshot().open[chat].items;
}

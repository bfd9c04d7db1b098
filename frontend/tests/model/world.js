/**
 * A world of honest people: the operations that fast-check strings together, and what must hold after any of them.
 * Whoever is offline, removed or restarted simply cannot do a thing, and the operation does nothing.
 */

import assert from 'node:assert/strict';

import { ModelServer } from './server.js';
import { clientOf, enter, loadAll, NAMES, settle, until } from './people.js';

export class World {
  constructor() {
    this.server = new ModelServer();
    this.devices = new Map(); // device → {client, username, device}
    this.texts = new Map(); // text → username
    this.count = 0;
  }

  async begin(people) {
    this.names = NAMES.slice(0, people);
    this.identities = await settle(this.server, this.names);
    for (const name of this.names) await this.log(name, name);
    const { client } = this.devices.get('alice');
    this.chat = await client.startChat({ usernames: this.names.slice(1, -1) });
    await this.settled();
  }

  async log(username, device) {
    const client = await enter(this.server, this.identities.get(username), device);
    this.devices.set(device, { client, username, device });
    await this.open(device);
  }

  device(index) {
    return [...this.devices.values()][index % this.devices.size];
  }

  inChat({ client }) {
    const chat = client.getSnapshot().chats.find(({ id }) => id === this.chat);
    return (
      chat &&
      !chat.removed &&
      this.server.chats.get(this.chat).members.has(client.getSnapshot().user?.username)
    );
  }

  async open(device) {
    const held = this.devices.get(device);
    if (!this.chat || !this.inChat(held)) return;
    await held.client.acceptServerMade(this.chat);
    await held.client.openChat(this.chat).catch(passing);
  }

  // ---- operations; each takes two numbers ----

  async send(index, many) {
    const { client, username } = this.device(index);
    if (!this.inChat({ client })) return;
    await client.acceptServerMade(this.chat);
    for (let i = 0; i <= many % 3; i++) {
      const body = `text ${(this.count += 1)}`;
      this.texts.set(body, username);
      await client.send(this.chat, { body }, 'Ed25519');
    }
  }

  async sendAtOnce(index, many) {
    await Promise.all([
      this.send(index, many),
      this.send(index + 1, many),
      this.add(many),
      this.rekey(index),
    ]);
  }

  async lose(index, what) {
    const { username } = this.device(index);
    const list = this.server.faults.get(username) ?? [];
    this.server.faults.set(username, [...list, what % 2 ? 'ack' : 'request']);
  }

  async cut(index) {
    const { device } = this.device(index);
    this.server.offline.add(device);
    this.server.cut(device);
  }

  async mend(index) {
    const { device, client } = this.device(index);
    if (!this.server.offline.delete(device)) return;
    await until(() => client.getSnapshot().connection === 'online', 'mended');
  }

  async change(kind, by, whom) {
    const { client } = this.device(by);
    const usernames = whom ? [whom] : undefined;
    await client.changeChat(this.chat, { kind, usernames }).catch(passing);
  }

  async add(index) {
    await this.change('add', 0, this.names[index % this.names.length]);
  }

  async remove(index) {
    const whom = this.names[index % this.names.length];
    if (whom !== 'alice') await this.change('remove', 0, whom);
  }

  async rekey(index) {
    await this.change('rekey', index);
  }

  async leave(index) {
    const { client, username } = this.device(index);
    if (username !== 'alice' && this.inChat({ client })) await client.leaveChat(this.chat).catch(passing);
  }

  async older(index) {
    const { client } = this.device(index);
    if (client.getSnapshot().open[this.chat]) await client.loadOlder(this.chat).catch(passing);
  }

  /** A second device of the same person: another lane. */
  async second(index) {
    const { username } = this.device(index);
    if (!this.devices.has(`${username} 2`)) await this.log(username, `${username} 2`);
  }

  async reload(index) {
    const { client, username, device } = this.device(index);
    if (this.server.offline.has(device)) return;
    client.close();
    const next = clientOf(this.server, device, { store: client.store });
    this.devices.set(device, { client: next, username, device });
    assert.equal(await next.restore(), true);
    await until(() => next.getSnapshot().connection === 'online', 'reloaded');
    await this.open(device);
  }

  /** A clean browser; what had not been sent yet is gone with the old one. */
  async clean(index) {
    const { username, device, client } = this.device(index);
    if (this.server.offline.has(device)) return;
    await this.settled();
    await client.logout();
    await this.log(username, device);
  }

  /** New keys, vouched for by the old; every device logs in again, as it has to. */
  async renew(index) {
    const { username } = this.device(index);
    const devices = [...this.devices.values()].filter((held) => held.username === username);
    if (devices.some(({ device }) => this.server.offline.has(device))) return;
    await this.settled();
    for (const { client } of devices) await client.logout();
    const { bundle, backup } = await this.identities.get(username).renew();
    await this.server.renewKeys(username, bundle, backup);
    for (const { device } of devices) await this.log(username, device);
  }

  // ---- what must hold ----

  waiting({ client }) {
    const items = client.getSnapshot().open[this.chat]?.items ?? [];
    return items.filter(({ seq, state }) => seq === null && (state === 'queued' || state === 'sent'));
  }

  /** Everybody who is connected has everything, and nothing waits. */
  async settled() {
    for (const held of this.devices.values()) {
      if (this.server.offline.has(held.device)) continue;
      const { client } = held;
      const member = () => this.server.chats.get(this.chat).members.has(held.username);
      await until(() => !member() || this.inChat(held), `the chat of ${held.device}`);
      if (this.inChat(held) && !client.getSnapshot().open[this.chat]) await this.open(held.device);
      const done = () => {
        const snapshot = client.getSnapshot();
        if (!this.inChat(held)) return this.waiting(held).length === 0 || snapshot.connection !== 'online';
        const view = snapshot.open[this.chat];
        const last = this.server.chats.get(this.chat).items.length;
        return (
          view && !view.loading && this.waiting(held).length === 0 && (view.items.at(-1)?.seq ?? last) >= last
        );
      };
      await until(done, `settling of ${held.device}`);
    }
  }

  async finish() {
    for (let i = 0; i < this.devices.size; i++) await this.mend(i);
    this.server.faults.clear();
    await this.settled();
    const chat = this.server.chats.get(this.chat);
    for (const held of this.devices.values()) {
      noAlarm(held.client.getSnapshot(), held.device);
      if (!this.inChat(held)) continue;
      const items = await loadAll(held.client, this.chat);
      noAlarm(held.client.getSnapshot(), held.device);
      const first = chat.members.get(held.username).joined_seq;
      const stored = chat.items.filter(({ seq }) => seq >= first);
      const seen = items.filter(({ seq }) => seq !== null);
      assert.deepEqual(
        seen.map(({ seq }) => seq),
        stored.map(({ seq }) => seq),
        'every item once, in order',
      );
      for (const item of seen) judgeItem(item, this.texts);
    }
  }

  close() {
    for (const { client } of this.devices.values()) client.close();
  }
}

/** What an honest operation may meet, and does no harm. */
function passing(error) {
  const expected = ['offline', 'not_found', 'invalid', 'forbidden', 'timeout', 'unauthorized'];
  if (!expected.includes(error.code)) throw error;
}

/** No honest history ever alarms. */
export function noAlarm(snapshot, who) {
  assert.deepEqual(snapshot.accountWarnings, [], `account of ${who}`);
  for (const { warnings } of snapshot.chats) assert.deepEqual(warnings, [], `chat as ${who} sees it`);
  for (const { username, warnings } of Object.values(snapshot.people))
    assert.deepEqual(warnings, [], `${username} for ${who}`);
  for (const { items } of Object.values(snapshot.open)) {
    for (const item of items) {
      assert.deepEqual(item.warnings, [], `item ${item.seq} of ${who}`);
      // One may be refused for good: whoever sent it was removed before it arrived.
      if (item.state === 'failed')
        assert.deepEqual([item.seq, item.reason], [null, 'not_found'], `item of ${who}`);
    }
  }
}

function judgeItem(item, texts) {
  if (item.kind !== 'message') return;
  assert.equal(texts.get(item.payload.body), item.from);
  assert.ok(['verified', 'sent', 'delivered', 'read'].includes(item.state));
}

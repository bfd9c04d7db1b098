/**
 * What must hold in a world of honest people, whatever they did: nobody is alarmed, and a message is read by exactly
 * those who were members when it took its place.
 */

import assert from 'node:assert/strict';

import { lineOf, reaches } from './keys.js';
import { enter, loadAll, until } from './people.js';

export class Truth {
  devices = new Map(); // device → {client, username, device}
  texts = new Map(); // text → username
  ended = new Set(); // usernames
  resets = new Set(); // usernames whose keys were reset once
  verified = new Set(); // "who whom"
  chat = null;

  /** The chat as the server has it; undefined once the last member left. */
  get stored() {
    return this.server.chats.get(this.chat);
  }

  viewOf(client) {
    return client.getSnapshot().chats.find(({ id }) => id === this.chat);
  }

  inChat({ client }) {
    const view = this.viewOf(client);
    return view && !view.removed && this.stored?.members.has(client.getSnapshot().user?.username);
  }

  /** Is this member of the log one whose keys were reset, and nobody confirmed the new ones? */
  async unconfirmed(username) {
    if (this.keyMode !== 'combined' || !this.stored?.members.has(username)) return false;
    const line = await lineOf(this.server.accounts.get(username));
    return !reaches(line, this.stored.log.at(-1).members[username].keys, line.at(-1).hash);
  }

  /** Can any member of the log still sign? */
  async anyoneSigns() {
    const names = [...(this.stored?.members.keys() ?? [])];
    const resets = await Promise.all(names.map((name) => this.unconfirmed(name)));
    return resets.includes(false);
  }

  waiting({ client }) {
    const items = client.getSnapshot().open[this.chat]?.items ?? [];
    return items.filter(({ seq, state }) => seq === null && (state === 'queued' || state === 'sent'));
  }

  online() {
    return [...this.devices.values()].filter(({ device }) => !this.server.offline.has(device));
  }

  /** People say yes to keys that were really reset. */
  async acceptResets() {
    for (const held of this.online()) {
      for (const name of this.resets) {
        const person = () => held.client.getSnapshot().people[name];
        if (person()?.warnings.includes('identity_reset')) await held.client.acceptKeys(name);
      }
    }
  }

  /** Everybody who is connected has everything, and nothing waits. */
  async settled() {
    for (const held of this.online()) {
      const member = () => this.stored?.members.has(held.username);
      await until(() => !member() || this.inChat(held), `the chat of ${held.device}`);
      await this.acceptResets();
      if (this.inChat(held) && !held.client.getSnapshot().open[this.chat]) await this.open(held.device);
      await until(() => this.isSettled(held), `settling of ${held.device}`);
    }
  }

  isSettled(held) {
    const snapshot = held.client.getSnapshot();
    const nothing = this.waiting(held).length === 0;
    if (!this.inChat(held)) return nothing || snapshot.connection !== 'online';
    const view = snapshot.open[this.chat];
    const last = this.stored.items.length;
    return view && !view.loading && nothing && (view.items.at(-1)?.seq ?? last) >= last;
  }

  async finish() {
    for (let i = 0; i < this.devices.size; i++) await this.mend(i);
    this.server.faults.clear();
    this.server.lost.clear();
    await this.settled();
    await this.shared();
    for (const held of this.devices.values()) await this.judge(held);
    await this.judgeClean();
  }

  /** A share that is due is posted by who sees why. */
  async shared() {
    if (this.keyMode !== 'combined') return;
    const here = this.online().filter((held) => this.inChat(held));
    const resets = await Promise.all(here.map(({ username }) => this.unconfirmed(username)));
    // That an epoch is full concerns only who sends next.
    const due = () => this.stored?.shareDue && this.stored.epochs.at(-1).sent < this.epochMessages;
    if (resets.includes(false)) await until(() => !due(), 'the share that is due');
    await this.settled();
  }

  /** Somebody opens a clean browser: nothing alarms there either, and what was verified still is. */
  async judgeClean() {
    const username = this.names.find((name) => !this.ended.has(name) && this.stored?.members.has(name));
    if (!username) return;
    const client = await enter(
      this.server,
      this.identities.get(username),
      `${username} clean`,
      this.options(),
    );
    const held = { client, username, device: `${username} clean` };
    this.devices.set(held.device, held);
    await until(() => this.inChat(held), 'the chat in a clean browser');
    await this.accept(held);
    await this.judge(held);
    const { people } = client.getSnapshot();
    for (const name of this.names.filter((each) => people[each] && each !== username))
      assert.equal(
        people[name].verified,
        this.verified.has(`${username} ${name}`),
        `${name} for ${username}`,
      );
  }

  async judge(held) {
    const { client, username, device } = held;
    noAlarm(client.getSnapshot(), device, this.resets);
    if (!this.inChat(held)) return this.judgeFormer(held);
    const items = await this.all(held);
    noAlarm(client.getSnapshot(), device, this.resets);
    const first = this.stored.members.get(username).joined_seq;
    const due = this.stored.items.filter(({ seq }) => seq >= first).map(({ seq }) => seq);
    const seen = items.map(({ seq }) => seq);
    assert.deepEqual(seen, due, `every item once, in order, for ${device}`);
    for (const item of items) this.judgeItem(item, username);
    this.judgeMembers(held);
    return undefined;
  }

  /** All items that have a place; what comes in this moment too. */
  async all({ client, device }) {
    let items = [];
    await until(async () => {
      await loadAll(client, this.chat);
      await this.acceptResets(); // who was away meanwhile learns of one only now
      items = client.getSnapshot().open[this.chat].items.filter(({ seq }) => seq !== null);
      return items.at(-1)?.seq === this.stored.items.length;
    }, `all of it for ${device}`);
    return items;
  }

  /** Whoever is no member has nothing of what came after. */
  judgeFormer({ client, username, device }) {
    if (!this.stored) return; // the last one left: nothing to compare with
    const items = client.getSnapshot().open[this.chat]?.items ?? [];
    for (const { seq, kind } of items) {
      if (seq === null || kind !== 'message') continue;
      const epoch = this.epochAt(seq);
      assert.ok(epoch.wraps.has(username), `${device} was no member at ${seq}`);
    }
  }

  epochAt(seq) {
    return this.stored.epochs.findLast(({ opened_seq: opened }) => opened <= seq);
  }

  judgeItem(item, username) {
    if (item.kind !== 'message') return;
    const mine = this.epochAt(item.seq).wraps.has(username);
    if (!mine)
      return assert.equal(item.reason, 'key_lost', `item ${item.seq}: nothing was wrapped for ${username}`);
    assert.equal(this.texts.get(item.payload?.body), item.from, `item ${item.seq}: ${item.reason}`);
    assert.ok(['verified', 'sent', 'delivered', 'read'].includes(item.state));
    return undefined;
  }

  /** Members, roles and name are those of the log. */
  judgeMembers({ client, device }) {
    if (this.keyMode !== 'combined') return;
    const view = this.viewOf(client);
    const { members, name } = this.stored.log.at(-1);
    const told = Object.fromEntries(view.members.map(({ username, role }) => [username, role]));
    const here = Object.keys(members).filter((each) => this.stored.members.has(each));
    assert.deepEqual(
      told,
      Object.fromEntries(here.map((each) => [each, members[each].role])),
      `members for ${device}`,
    );
    assert.equal(view.name, name);
  }

  close() {
    for (const { client } of this.devices.values()) client.close();
  }
}

/** No honest history ever alarms. @param {any} snapshot @param {string} who @param {Set<string>} [resets] whose keys were reset */
export function noAlarm(snapshot, who, resets = new Set()) {
  assert.deepEqual(snapshot.accountWarnings, [], `account of ${who}`);
  for (const { warnings } of snapshot.chats) assert.deepEqual(warnings, [], `chat as ${who} sees it`);
  for (const { username, warnings } of Object.values(snapshot.people))
    assert.deepEqual(warnings, [], `${username} for ${who}`);
  for (const { items } of Object.values(snapshot.open)) {
    for (const item of items) {
      // What was signed before a reset stays marked for who comes later.
      const alarms = item.warnings.filter((name) => name !== 'unconfirmed_key' || !resets.has(item.from));
      assert.deepEqual(alarms, [], `item ${item.seq} of ${who}`);
      // One may be refused for good: whoever sent it was removed before it arrived.
      if (item.state === 'failed' && item.reason !== 'key_lost')
        assert.deepEqual([item.seq, item.reason], [null, 'not_found'], `item of ${who}`);
    }
  }
}

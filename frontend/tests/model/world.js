/**
 * A world of honest people: the operations that fast-check strings together. Whoever is offline, removed or restarted
 * simply cannot do a thing, and the operation does nothing. What must hold after any of them is truth.js.
 */

import assert from 'node:assert/strict';

import { createRunner } from '../../lib/runner.js';
import { endAccount } from './chats.js';
import { ModelServer } from './server.js';
import { cheapKdf, clientOf, enter, NAMES, newKeys, settle, until } from './people.js';
import { noAlarm, Truth } from './truth.js';

export { noAlarm };

/** What an honest operation may meet, and does no harm. */
const PASSING = [
  ['offline', 'timeout', 'unauthorized'],
  ['not_found', 'invalid', 'forbidden', 'last_owner', 'member_without_keys'],
  ['membership_conflict', 'epoch_conflict', 'share_due'],
].flat();

/** @param {any} error */
function passing(error) {
  if (!PASSING.includes(error.code)) throw error;
}

export class World extends Truth {
  /** @param {'server'|'combined'} keyMode @param {number} [epochMessages] after which an epoch is full */
  constructor(keyMode, epochMessages = 100_000) {
    super();
    Object.assign(this, { keyMode, epochMessages });
    this.server = new ModelServer();
    Object.assign(this.server, { keyMode, messagesPerEpoch: epochMessages });
    this.count = 0;
  }

  /** `people` of them; the last one is in no chat yet. */
  async begin(people) {
    this.names = NAMES.slice(0, people);
    this.identities = await settle(this.server, this.names);
    for (const name of this.names) await this.log(name, name);
    const { client } = this.devices.get('alice');
    this.chat = await client.startChat({ usernames: this.names.slice(1, -1), keyMode: this.keyMode });
    await this.settled();
  }

  async log(username, device) {
    const client = await enter(this.server, this.identities.get(username), device, this.options());
    this.hold(device, username, client);
    await this.open(device);
  }

  /** New keys are drawn from ready ones: making them is not what is tested here. */
  options() {
    const { run, close } = createRunner();
    const runner = {
      run: (task, args) => (task === 'generateKeys' ? newKeys() : run(task, args)),
      close,
    };
    return { runner, stateDelay: 1, epochMessages: this.epochMessages };
  }

  hold(device, username, client) {
    this.devices.set(device, { client, username, device });
  }

  device(index) {
    return [...this.devices.values()][index % this.devices.size];
  }

  /** A device in the chat, if there is any. */
  member(index) {
    const all = [...this.devices.values()].filter((held) => this.inChat(held));
    return all[index % all.length] ?? this.device(index);
  }

  name(index) {
    return this.names[index % this.names.length];
  }

  async open(device) {
    const held = this.devices.get(device);
    if (!this.chat || !this.inChat(held)) return;
    await this.accept(held);
    await held.client.openChat(this.chat).catch(passing);
  }

  /** The question of a `server` chat that somebody else made. */
  async accept({ client }) {
    if (this.keyMode === 'server') await client.acceptServerMade(this.chat);
  }

  // ---- operations; each takes two numbers ----

  async send(index, many) {
    const held = this.member(index);
    if (!this.inChat(held) || (await this.unconfirmed(held.username))) return;
    await this.accept(held);
    for (let i = 0; i <= many % 3; i++) {
      const body = `text ${(this.count += 1)}`;
      this.texts.set(body, held.username);
      await held.client.send(this.chat, { body }, 'Ed25519');
    }
  }

  /** Everybody at once. */
  async race(a, b) {
    const works = [
      ['add', 'send'],
      ['rekey', 'send', 'rekey'],
      ['remove', 'send', 'rename'],
      ['leave', 'send', 'add'],
      ['rename', 'rename', 'role'],
      ['send', 'add', 'remove'],
      ['renew', 'send', 'rekey'],
      ['leave', 'leave', 'send'],
    ][b % 8];
    await Promise.all(works.map((work, i) => this[work](a + i, b + i)));
  }

  async lose(index, what) {
    const { username } = this.device(index);
    const list = this.server.faults.get(username) ?? [];
    this.server.faults.set(username, [...list, what % 2 ? 'ack' : 'request']);
  }

  /** The next change of a chat gets no answer. */
  async loseAnswer(index, what) {
    const { username } = this.device(index);
    this.server.lost.set(username, [what % 2 ? 'answer' : 'request']);
  }

  async crash(index, many) {
    const sending = this.send(index, many);
    this.server.crash();
    await sending;
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

  async change(by, change) {
    const held = this.device(by);
    if (!this.inChat(held)) return;
    try {
      await held.client.changeChat(this.chat, change);
    } catch (error) {
      // Whose keys nobody confirmed signs nothing.
      if (error.code !== 'invalid_membership' || !(await this.unconfirmed(held.username))) passing(error);
    }
  }

  /** Somebody who may, where there is somebody; one in ten tries without. */
  owner(index) {
    const roles = this.stored?.log.at(-1)?.members ?? Object.fromEntries(this.stored?.members ?? []);
    const all = [...this.devices.values()];
    const at = all.findIndex(({ username }) => roles[username]?.role === 'owner');
    return index === 9 || at < 0 ? index : at;
  }

  /** A name in the chat, or one that is not. */
  named(index, inside) {
    const fit = this.names.filter(
      (name) => !this.ended.has(name) && this.stored?.members.has(name) === inside,
    );
    return fit[index % fit.length];
  }

  async add(by, whom) {
    const name = this.named(whom, false);
    if (name) await this.change(this.owner(by), { kind: 'add', usernames: [name] });
  }

  async remove(by, whom) {
    const name = this.named(whom, true);
    const owner = this.owner(by);
    if (name && name !== this.device(owner).username)
      await this.change(owner, { kind: 'remove', usernames: [name] });
  }

  async role(by, whom) {
    const role = whom % 2 ? 'owner' : 'member';
    const name = this.named(whom, true);
    if (name) await this.change(this.owner(by), { kind: 'role', usernames: [name], role });
  }

  async rename(by) {
    await this.change(this.owner(by), { kind: 'rename', name: `name ${(this.count += 1)}` });
  }

  async rekey(by) {
    await this.change(by, { kind: 'rekey' });
  }

  async leave(index) {
    const held = this.member(index);
    if (this.inChat(held)) await held.client.leaveChat(this.chat).catch(passing);
  }

  /** As somebody does whose client cannot sign: no entry, they wait in the log. */
  async leaveUnsigned(index) {
    const held = this.member(index);
    if (!this.inChat(held) || this.server.offline.has(held.device)) return;
    const token = [...this.server.tokens].find(([, name]) => name === held.username)[0];
    const { fetch } = this.server.transport(held.device);
    const headers = { authorization: `Bearer ${token}` };
    const body = JSON.stringify({ kind: 'leave' });
    this.server.lost.delete(held.username);
    await fetch(`/api/v1/chats/${this.chat}/events`, { method: 'POST', headers, body });
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
    const next = clientOf(this.server, device, { store: client.store, ...this.options() });
    this.hold(device, username, next);
    assert.equal(await next.restore(), true);
    await until(() => next.getSnapshot().connection === 'online', 'reloaded');
    await this.open(device);
  }

  /** A clean browser: the password alone; what had not been sent yet is gone with the old one. */
  async clean(index) {
    const { username, device, client } = this.device(index);
    if (this.server.offline.has(device)) return;
    await this.settled();
    await client.logout();
    await this.log(username, device);
  }

  /** Devices of one person, all of them online; else none. */
  together(username) {
    const all = [...this.devices.values()].filter((held) => held.username === username);
    return all.some(({ device }) => this.server.offline.has(device)) ? [] : all;
  }

  /** "Someone may know my password": new keys, vouched for by the old; the other devices log in again. */
  async renew(index) {
    await this.newPassword(index, '+', true);
  }

  /** A new password, the same keys. */
  async password(index) {
    await this.newPassword(index, '.', false);
  }

  async newPassword(index, more, compromised) {
    const { username, device, client } = this.device(index);
    const devices = this.together(username);
    if (devices.length === 0 || devices.some((held) => this.waiting(held).length > 0)) return;
    const identity = this.identities.get(username);
    const { password } = identity;
    try {
      await client.changePassword({ password, newPassword: `${password}${more}`, compromised });
    } catch (error) {
      // Another device of theirs stores all the time; who is told so tries again.
      if (['state_conflict', 'backup_conflict'].includes(error.code)) return;
      throw error;
    }
    identity.password = `${password}${more}`;
    for (const held of devices) if (held.device !== device) await this.again(held);
  }

  /** A device whose session was ended elsewhere. */
  async again({ client, username, device }) {
    await until(() => client.getSnapshot().phase === 'signed_out', `${device} is signed out`);
    client.close();
    await this.log(username, device);
  }

  /** The password is forgotten, the code is not. */
  async recover(index) {
    const { username, device, client } = this.device(index);
    const devices = this.together(username);
    if (devices.length === 0 || devices.some((held) => this.waiting(held).length > 0)) return;
    const identity = this.identities.get(username);
    const code = client.newRecoveryCode();
    await client.saveRecoveryCode({ code, password: identity.password });
    for (const held of devices) await held.client.logout();
    identity.password = `${identity.password}!`;
    const next = clientOf(this.server, device, this.options());
    await next.recover({ username, code, newPassword: identity.password });
    await until(() => next.getSnapshot().connection === 'online', 'recovered');
    this.hold(device, username, next);
    await this.open(device);
    for (const held of devices) if (held.device !== device) await this.log(username, held.device);
  }

  /** All keys are lost: new ones that nobody vouches for, accepted and confirmed by the others. */
  async reset(index) {
    const { username } = this.device(index);
    const devices = this.together(username);
    if (devices.length === 0 || this.server.offline.size > 0) return;
    await this.settled();
    for (const { client } of devices) await client.logout();
    const account = this.server.accounts.get(username);
    const { bundle, backup } = await this.identities.get(username).renew({ linked: false, account });
    await this.server.renewKeys(username, bundle, backup);
    this.resets.add(username);
    for (const mark of [...this.verified]) if (mark.endsWith(` ${username}`)) this.verified.delete(mark);
    for (const { device } of devices) await this.log(username, device);
    await this.acceptResets();
    await this.confirm(username);
  }

  /** Whoever may confirms the new keys in the chat; where nobody can sign any more, they say so. */
  async confirm(username) {
    const may = ({ client }) => this.viewOf(client)?.unconfirmed.includes(username);
    if (!(await this.unconfirmed(username))) return;
    if (!(await this.anyoneSigns())) {
      for (const held of this.online().filter((each) => this.inChat(each)))
        await until(() => this.viewOf(held.client).stuck, `${held.device} knows that nobody can sign`);
      return;
    }
    await until(() => [...this.devices.values()].some(may), `somebody may confirm ${username}`);
    const { client } = [...this.devices.values()].find(may);
    await client.confirmKeys(this.chat, username);
  }

  /** The safety numbers were compared. */
  async verify(index, whom) {
    const { client, username, device } = this.device(index);
    const name = this.name(whom);
    if (this.server.offline.has(device) || name === username || this.ended.has(name)) return;
    if (!client.getSnapshot().people[name]?.canVerify) return;
    await client.setVerified(name, true);
    this.verified.add(`${username} ${name}`);
  }

  /** The account ends; somebody else takes its name out of the log. */
  async end(index) {
    const { username, client } = this.device(index);
    const devices = this.together(username);
    if (devices.length === 0 || this.names.length - this.ended.size < 3) return;
    await this.settled();
    const { password } = this.identities.get(username);
    try {
      await client.deleteAccount({ password });
    } catch (error) {
      if (error.code === 'last_owner') return;
      throw error;
    }
    this.forgetAccount(username, devices);
  }

  /** The same from a program that signs nothing. */
  async endUnsigned(index) {
    const { username } = this.device(index);
    const devices = this.together(username);
    if (devices.length === 0 || this.keyMode === 'server' || this.names.length - this.ended.size < 3) return;
    await this.settled();
    const { auth: password } = await cheapKdf(this.identities.get(username).password);
    const account = this.server.accounts.get(username);
    assert.equal(account.password, password);
    await this.server.alone(() => endAccount(this.server, account));
    this.forgetAccount(username, devices);
  }

  forgetAccount(username, devices) {
    this.ended.add(username);
    for (const { client, device } of devices) {
      client.close();
      this.devices.delete(device);
    }
  }
}

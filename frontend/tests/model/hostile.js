/**
 * What a hostile member or server can make: envelopes with any header, signed with keys they really hold, put at any
 * place of the history that one reader is told.
 */

import { randomUUID } from 'node:crypto';

import {
  encodeB64u,
  epochKey,
  importPrivate,
  newLane,
  randomBytes,
  sealEnvelope,
} from '../../lib/crypto/index.js';
import { secretOf } from './forge.js';
import { enter, settle, until } from './people.js';
import { ModelServer } from './server.js';

/** A chat of three with a history: two lanes, two epochs, eight items; a fourth name is added with the second epoch. */
export async function scene(names = ['alice', 'bob', 'carol'], keyMode = 'server') {
  const server = new ModelServer();
  server.keyMode = keyMode;
  const identities = await settle(server, names);
  const [alice, bob] = [
    await enter(server, identities.get('alice')),
    await enter(server, identities.get('bob')),
  ];
  const id = await alice.startChat({ usernames: names.slice(1, 3), keyMode });
  const all = { server, identities, alice, bob, id, chat: server.chats.get(id), clients: [alice, bob] };
  for (const client of [alice, bob]) {
    await client.acceptServerMade(id);
    await client.openChat(id);
  }
  await say(all, alice, 'a1');
  await say(all, bob, 'b1');
  await say(all, alice, 'a2');
  const second = names[3] ? { kind: 'add', usernames: [names[3]] } : { kind: 'rekey' };
  await alice.changeChat(id, second);
  await say(all, bob, 'b2');
  await say(all, alice, 'a3');
  await say(all, bob, 'b3');
  return all;
}

/** Sends on what everybody else did so far, and waits until every open client holds it. */
export async function say({ id, chat, clients }, client, body) {
  const held = (each) => each.getSnapshot().open[id]?.items ?? [];
  const isThere = (each) => held(each).at(-1)?.seq === chat.items.length;
  await client.acceptServerMade(id);
  await until(() => isThere(client), `${client.device} holds what was before ${body}`);
  await client.send(id, { body }, 'Ed25519');
  const isSaid = (each) => held(each).some((item) => item.payload?.body === body && item.seq !== null);
  await until(() => clients.every((each) => isSaid(each) && isThere(each)), `everyone holds ${body}`);
}

/** A reader on a clean device, with the chat open and loaded whole. */
export async function reader(
  { server, identities, id, clients },
  username = 'carol',
  device = `${username} ${clients.length}`,
) {
  const client = await enter(server, identities.get(username), device, { pageSize: 50 });
  clients.push(client);
  await client.openChat(id);
  return client;
}

export const itemsOf = (client, id) => client.getSnapshot().open[id].items;
export const chatOf = (client, id) => client.getSnapshot().chats.find((chat) => chat.id === id);

/**
 * An envelope as `username` could make it, by default the next honest one of a new lane.
 * @param {object} scene
 * @param {string} username whose keys sign
 * @param {object} [change] header fields to set, and `payload`, `keys` (an Identity's), `kc`, `tamper` (of the envelope)
 */
export async function craft(world, username, { payload, keys, secret, tamper, epoch, ...header } = {}) {
  const { identities, chat, id } = world;
  const opened = epoch ? chat.epochs.find(({ number }) => number === epoch) : chat.epochs.at(-1);
  const { alg, kid, pkcs8 } = (keys ?? identities.get(username).keys).find(
    ({ alg: name }) => name === 'Ed25519',
  );
  const last = chat.items.at(-1);
  const { envelope } = await sealEnvelope({
    header: {
      chat: id,
      epoch: opened?.number ?? epoch,
      id: randomUUID(),
      from: username,
      dev: newLane(),
      n: 1,
      prev: '',
      seen: { seq: last.seq, hash: last.chain },
      log: chat.log.at(-1)?.hash ?? '',
      at: '2026-11-24T12:00:00.000Z',
      ...header,
    },
    payload: payload ?? { type: 'text', body: 'hostile' },
    epochKey: await epochKey(secret ?? (await secretOf(world, opened ?? chat.epochs.at(-1)))),
    signer: { alg, kid, key: await importPrivate(alg, pkcs8) },
  });
  const { chat: _chat, ...body } = tamper ? tamper(envelope) : envelope;
  return { body: { envelope: body } };
}

/** Changes one character of a b64u text so that it stays strict. */
export const flip = (text, at = 4) => text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);

export const anyHash = () => encodeB64u(randomBytes(32));

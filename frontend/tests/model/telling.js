/**
 * How a lie is told, for the tables of lies. The scene: alice (owner), bob and carol in a `combined` chat, dave added by
 * item 5, erin outside; alice and bob are there, the reader who is lied to is carol.
 */

import { currentOf } from './keys.js';
import { reader } from './hostile.js';
import { clientOf, Identity, until } from './people.js';
import { TIME } from './refusal.js';

/** From now on the server lies to carol alone. @param {any} world @param {Record<string, (honest: any, ...more: any[]) => any>} lies */
export function lieTo(world, lies) {
  for (const [what, lie] of Object.entries(lies))
    world.server.lies[what] = (username, honest, ...more) =>
      username === 'carol' ? lie(honest, ...more) : honest;
}

/** Carol on a clean device, to whom it is told so from the first. */
export async function toldTo(world, lies) {
  lieTo(world, lies);
  return reader(world);
}

/** Carol on a device that held the chat honestly, and comes back to a server that lies. */
export async function cameBack(world, lies, before = async () => {}) {
  const held = await reader(world);
  await before(held);
  held.close();
  world.clients.splice(world.clients.indexOf(held), 1);
  lieTo(world, lies);
  const client = clientOf(world.server, 'carol again', { store: held.store, pageSize: 50 });
  world.clients.push(client);
  await client.restore();
  await until(() => client.getSnapshot().chats.length > 0, 'chats');
  await client.openChat(world.id).catch(() => undefined);
  return client;
}

/** Members of the log, and one more under their current keys. */
export async function withMember({ server, chat }, name, role = 'member') {
  const { hash: keys } = await currentOf(server.accounts.get(name));
  return { ...chat.log.at(-1).members, [name]: { role, keys } };
}

/** Members of the log, but one. */
export function without({ chat }, name) {
  const { [name]: _gone, ...members } = chat.log.at(-1).members;
  return members;
}

/** A bundle that somebody else made for a name, as the API would give it. */
export async function falseBundle(username, version = 1) {
  const other = new Identity(username);
  other.version = version - 1;
  await other.renew({ linked: false });
  return { other, form: { ...other.bundle, username, hash: other.hash, created_at: TIME } };
}

/** The Epoch with that number, changed. */
export const epochLie = (number, change) => (told, chat, epoch) =>
  told.number === number ? { ...told, ...change(told, chat, epoch) } : told;

/** Its client share, changed. */
export const shareLie = (number, change) =>
  epochLie(number, (told, chat) => ({ client_share: { ...told.client_share, ...change(chat, told) } }));

/** Every share that clients asked the server to take: who was to get a wrap under which keys. */
export function recipientsAsked({ server }) {
  const shares = server.sent.map((text) => JSON.parse(text).client_share).filter(Boolean);
  return shares.flatMap(({ protected: text }) =>
    Object.entries(JSON.parse(Buffer.from(text, 'base64url').toString()).recipients),
  );
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** The same bytes in other letters: bits that no byte needs are set. @param {string} text whose length leaves some */
export function bend(text) {
  const last = ALPHABET.indexOf(text.at(-1));
  return text.slice(0, -1) + ALPHABET[last ^ 1];
}

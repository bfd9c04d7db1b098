/**
 * The library as somebody else's partner: reads one command a line, answers one line each. For tests in other languages
 * that share chats with it; CHATSEC_URL names the server. `{"do": name, "args": […]}` → `{"ok": …}` or `{"error": code}`.
 */

import { createInterface } from 'node:readline';

import { io } from 'socket.io-client';

import { createClient, memoryStore } from '../../lib/index.js';
import { loadAll, until } from '../model/people.js';

const URL = process.env.CHATSEC_URL;
const client = createClient({ apiUrl: URL, socketUrl: URL, store: memoryStore(), fetch, io });

const chatOf = (id) => client.getSnapshot().chats.find((chat) => chat.id === id);
const itemsOf = (id) => client.getSnapshot().open[id]?.items ?? [];
const isRead = (item, body) =>
  item.kind === 'message' && item.payload?.body === body && item.state !== 'failed';

/** What may be asked. */
const commands = {
  register: async (username) => {
    await client.register({ username, displayName: username, password: 'correct horse battery staple' });
    await until(() => client.getSnapshot().connection === 'online', 'online');
  },
  startChat: (usernames, name) => client.startChat({ usernames, name, keyMode: 'combined' }),
  openChat: async (id) => {
    await until(() => chatOf(id), 'the chat');
    await client.openChat(id);
    await loadAll(client, id);
  },
  send: (id, body, alg) => client.send(id, { body }, alg),
  /** Waits until a message of this text is there and good. */
  reads: (id, body) => until(() => itemsOf(id).some((item) => isRead(item, body)), body, 20_000),
  changeChat: (id, change) => client.changeChat(id, change),
  confirmKeys: (id, username) => client.confirmKeys(id, username),
  leaveChat: (id) => client.leaveChat(id),
  safetyNumber: async (username) => (await client.safetyNumber(username)).digits,
  chat: (id) => chatOf(id) ?? null,
  /** Waits until a field of a chat has this value. */
  becomes: (id, field, value) =>
    until(() => JSON.stringify(chatOf(id)?.[field]) === JSON.stringify(value), field, 20_000),
  /** Everything that would alarm its user: names of warnings and failures. */
  alarms: (id) => [
    ...client.getSnapshot().accountWarnings,
    ...(chatOf(id)?.warnings ?? []),
    ...itemsOf(id).flatMap(({ warnings, state, reason }) => [
      ...warnings,
      ...(state === 'failed' ? [reason] : []),
    ]),
  ],
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, args } = JSON.parse(line);
  const answer = await Promise.resolve(commands[name](...args)).then(
    (ok) => ({ ok: ok ?? null }),
    (error) => ({ error: error.code ?? String(error) }),
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
client.close();

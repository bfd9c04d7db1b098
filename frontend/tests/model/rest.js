/** The REST calls of the model server (protocol §6): which call is whose work. */

import { AUTH, recoverPassword, routeMe, userOf } from './accounts.js';
import { getFile, putFile } from './attachments.js';
import { changeChat, chatsOf, createChat, eraseChat } from './chats.js';
import { changeCombined } from './combined.js';
import { keysOf, keysOfMany } from './keys.js';
import { sendMessage } from './messages.js';
import { listed, need, Refusal } from './refusal.js';
import { briefOf, epochsFor, pageOf, viewOf } from './views.js';

/**
 * @typedef {{method: string, path: string, query: URLSearchParams, body: any, token: string, range?: string}} Asked
 * @param {any} server @param {Asked} asked @returns {Promise<any>} an answer, null for none, or a Response
 */
export async function route(server, asked) {
  const { method, path, query, body, token } = asked;
  const [, noun, ...rest] = path.split('/').map(decodeURIComponent);
  if (noun === 'server') return { name: 'model', version: '1', protocol: 1, key_mode: server.keyMode };
  if (noun === 'auth') return AUTH[rest[0]](server, body, token);
  const call = `${method} ${rest.join('/')}`;
  if (noun === 'me' && call === 'PUT password' && server.recoveries.has(token))
    return recoverPassword(server, token, body);
  const username = server.tokens.get(token);
  need(username, 'unauthorized');
  const account = server.accounts.get(username);
  if (noun === 'me') return routeMe(server, call, { account, body, token });
  if (noun === 'users') return routeUsers(server, username, rest, query);
  if (noun === 'keys') return keysOfMany(server, username, query.get('usernames').split(','));
  need(noun === 'chats', 'not_found');
  return rest.length === 0 ? routeChats(server, username, asked) : routeChat(server, username, rest, asked);
}

async function routeUsers(server, username, [name, keys], query) {
  if (keys) return keysOf(server, username, server.accounts.get(name));
  const all = [...server.accounts.values()].filter(({ ended }) => !ended);
  if (!name)
    return listed(
      all.map((account) => userOf(server, account)),
      query,
    );
  const account = all.find((each) => each.username === name);
  need(account, 'not_found');
  return userOf(server, account);
}

async function routeChats(server, username, { method, query, body }) {
  if (method === 'POST') return createChat(server, username, body);
  const mine = chatsOf(server, username).map((chat) => briefOf(server, username, chat));
  return listed(await Promise.all(mine), query);
}

/** @param {any} server @param {string} username @param {string[]} path id and what follows @param {Asked} asked */
async function routeChat(server, username, [id, noun = '', file], { method, query, body, range }) {
  const chat = server.chats.get(id);
  const call = `${method} ${noun}`;
  // Who left with an entry gets the first answer again.
  if (chat?.mode === 'combined' && call === 'POST events' && !chat.members.has(username))
    return changeCombined(server, username, chat, body);
  need(chat?.members.has(username), 'not_found');
  const refusal = call === 'POST events' && server.lies.refuse?.(username, body, chat);
  if (refusal) throw new Refusal(refusal.code, refusal.extra);
  const calls = {
    'GET ': () => viewOf(server, username, chat),
    'DELETE ': () => eraseChat(server, username, chat),
    'POST events': () => changeChat(server, username, chat, body),
    'GET membership': () => membershipOf(server, username, chat, query),
    'GET epochs': async () => listed(await epochsFor(server, username, chat), query),
    'GET keys': () => keysOfMany(server, username, [...chat.past]),
    'GET messages': () => pageOf(server, username, chat, query),
    'POST messages': () => sendMessage(server, { username }, body),
    'POST attachments': () => putFile(chat, body),
    'GET attachments': () => getFile(server, username, chat, file, range),
  };
  need(Object.hasOwn(calls, call), 'not_found');
  return calls[call]();
}

async function membershipOf(server, username, chat, query) {
  need(chat.mode === 'combined', 'not_found');
  const honest = chat.log.map(({ n, object }) => ({ n, ...object }));
  const told = (await server.lies.membership?.(username, honest, chat)) ?? honest;
  return listed(told.slice(Number(query.get('after') ?? 0)), query);
}

/**
 * A small server in memory that follows docs/protocol.md, written from the page alone: the other side of the client's
 * tests. It speaks through `fetch` and `io` like the real one, keeps every rule that a client relies on, and can be
 * told to lie (`lies`) or to lose things on the way (`faults`, `lost`, `crash`). It is a simulator, so nothing in it
 * is patched from outside.
 */

import { newAccount } from './accounts.js';
import { takeBundle } from './chats.js';
import { historyOf } from './items.js';
import { mark, sendMessage, sync } from './messages.js';
import { copyOf, Refusal } from './refusal.js';
import { route } from './rest.js';
import { ModelSocket } from './socket.js';

/** What a browser says of an answer that never came. */
const unanswered = () => new TypeError('fetch failed');

export class ModelServer {
  accounts = new Map(); // username → see accounts.js
  chats = new Map(); // id → see chats.js
  sockets = new Set();
  tokens = new Map(); // token → username
  sessions = new Map(); // token → id of the session
  recoveries = new Map(); // recovery token → username
  sent = []; // every body and packet a client sent, as text
  // history, chat, keys, epoch, membership, page, prelogin, backup, state, file, push: (username, honest, …) → told;
  // refuse: (username, body of a change, chat) → {code, extra}, or nothing
  lies = {};
  faults = new Map(); // username → list of 'ack' | 'request': what the next message:send loses
  lost = new Map(); // username → list of 'answer' | 'request': what the next POST about a chat loses
  offline = new Set(); // client names
  keyMode = 'server'; // what new chats are, where a client asks
  messagesPerEpoch = 100_000;
  #turn = Promise.resolve();
  #life = 0;

  // ---- what tests call ----

  /** An account as if registered elsewhere. */
  addAccount({ bundle, ...account }) {
    const display = `The ${account.username}`;
    this.accounts.set(account.username, newAccount({ display, ...account, bundles: [bundle] }));
  }

  /** New keys for an account, as if uploaded from elsewhere. */
  async renewKeys(username, bundle, backup) {
    await this.alone(async () => {
      const account = this.accounts.get(username);
      if (backup) account.backup = backup;
      await takeBundle(this, account, bundle);
    });
  }

  /** Forgets everything of a chat above `last`, as a restored disk would. */
  rollBack(id, last) {
    const chat = this.chats.get(id);
    chat.items.length = last;
    chat.epochs = chat.epochs.filter(({ opened_seq: opened }) => opened <= last);
    const named = new Set(chat.items.map(({ body }) => body.event?.log));
    chat.log = chat.log.filter(({ hash }) => named.has(hash));
  }

  cut(name) {
    for (const socket of [...this.sockets]) if (socket.name === name) socket.drop('transport close');
  }

  /** The process dies and comes back: what is stored stays, what was under way gets no answer. */
  crash() {
    this.#life += 1;
    for (const socket of [...this.sockets]) socket.drop('transport close');
  }

  /** `fetch` and `io` for one device. `name` tells devices of a user apart. */
  transport(name) {
    return {
      fetch: (url, init) => this.#fetch(name, String(url), init),
      io: (url, options) => new ModelSocket(this, name, options),
    };
  }

  /** The history as this user is told it. */
  history(username, chat) {
    return historyOf(this, username, chat);
  }

  // ---- what its parts call ----

  push(usernames, name, make, but = null) {
    for (const socket of this.sockets) {
      if (socket === but || !usernames.includes(socket.username)) continue;
      const honest = copyOf(make());
      const told = this.lies.push ? this.lies.push(socket.username, name, honest) : honest;
      if (told) socket.deliver(name, told);
    }
  }

  // ---- REST ----

  async #fetch(name, url, { method = 'GET', headers = {}, body } = {}) {
    await null;
    if (this.offline.has(name)) throw unanswered();
    if (typeof body === 'string') this.sent.push(body);
    const { pathname, searchParams: query } = new URL(url, 'http://model');
    const path = pathname.replace('/api/v1', '');
    const token = (headers.authorization ?? '').replace('Bearer ', '');
    const lost =
      method === 'POST' && path.startsWith('/chats') && this.lost.get(this.tokens.get(token))?.shift();
    if (lost === 'request') throw unanswered();
    const asked = { method, path, query, body: await readBody(body), token, range: headers.range };
    const answer = await this.#answer(() => route(this, asked));
    if (lost || this.offline.has(name)) throw unanswered();
    return answer;
  }

  /** @param {() => Promise<any>} work @returns {Promise<Response>} */
  async #answer(work) {
    try {
      const answer = await this.#alive(work, unanswered);
      if (answer instanceof Response) return answer;
      if (answer === null) return new Response(null, { status: 204 });
      return new Response(JSON.stringify(answer), { headers: { 'content-type': 'application/json' } });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, code, extra } = error;
      const problem = JSON.stringify({ type: 'about:blank', title: code, status, code, ...extra });
      return new Response(problem, { status, headers: { 'content-type': 'application/problem+json' } });
    }
  }

  // ---- socket events ----

  async handle(socket, name, payload) {
    this.sent.push(JSON.stringify(payload));
    try {
      const ack = await this.#alive(
        () => this.#on(socket, name, payload),
        () => new Error('operation has timed out'),
      );
      return { ok: true, ...ack };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { ok: false, code: error.code, detail: error.code, ...error.extra };
    }
  }

  async #on(socket, name, payload) {
    if (name === 'message:send') return sendMessage(this, socket, payload);
    if (name === 'sync') return sync(this, socket.username, payload.chats);
    if (name === 'message:delivered' || name === 'message:read')
      return mark(this, socket, name.slice('message:'.length), payload);
    return {};
  }

  /** In its turn, and only while this process lives: who asked before a crash gets no answer. */
  async #alive(work, silence) {
    const life = this.#life;
    const result = await this.alone(() => {
      if (life !== this.#life) throw silence();
      return work();
    });
    if (life !== this.#life) throw silence();
    return result;
  }

  /** One thing at a time, as one committer would. */
  alone(work) {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

/** JSON, or the bytes of an upload. @param {unknown} body */
async function readBody(body) {
  if (body === undefined || body === null) return {};
  if (typeof body === 'string') return JSON.parse(body);
  return new Uint8Array(await new Response(/** @type {any} */ (body)).arrayBuffer());
}

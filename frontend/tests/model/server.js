/**
 * A small server in memory that follows docs/protocol.md for `server` chats: the other side of the client's tests.
 * It speaks through `fetch` and `io` like the real one, keeps every rule that a client relies on, and can be told to
 * lie (`lies`) or to lose things on the way (`faults`). It is a simulator, so nothing in it is patched from outside.
 */

import {
  CHAIN_START,
  chainStep,
  encodeB64u,
  envelopeHash,
  eventHash,
  hash,
  judgeBundle as judgeAnew,
  parseEnvelope,
  randomBytes,
  wrap,
  wrapLabel,
} from '../../lib/crypto/index.js';

const OPENS = ['create', 'add', 'remove', 'leave', 'keys', 'rekey', 'ended'];
const TIME = '2026-11-24T12:00:00.000Z';

/** A refusal: a problem over REST, an ack on the socket. */
class Refusal extends Error {
  constructor(status, code, extra = {}) {
    super(code);
    Object.assign(this, { status, code, extra });
  }
}

const known = (item) => structuredClone(item);

const judged = new Map();

/** Judged once each: the server's share of the work is not what is tested. */
function judgeBundle(username, bundle) {
  const text = `${username} ${JSON.stringify(bundle)}`;
  if (!judged.has(text)) judged.set(text, judgeAnew(username, bundle));
  return judged.get(text);
}

export class ModelServer {
  accounts = new Map(); // username → {password, kdf, backup, bundles, display}
  chats = new Map(); // id → {id, name, mode, creator, members, items, epochs, marks, past}
  sockets = new Set();
  tokens = new Map(); // token → username
  sent = []; // every body and packet a client sent, as text
  lies = {}; // history, chat, keys, epoch, prelogin, backup: (username, honest, …) → told
  faults = new Map(); // username → list of 'ack' | 'request': what the next message:send loses
  offline = new Set(); // client names
  #turn = Promise.resolve();

  // ---- what tests call ----

  /** An account as if registered elsewhere. */
  addAccount({ username, password, kdf, backup, bundle }) {
    this.accounts.set(username, {
      username,
      password,
      kdf,
      backup,
      bundles: [bundle],
      display: `The ${username}`,
    });
  }

  /** New keys for an account: a `keys` event opens an epoch in each of their chats. */
  async renewKeys(username, bundle, backup) {
    await this.#alone(async () => {
      const account = this.accounts.get(username);
      account.bundles.push(bundle);
      if (backup) account.backup = backup;
      const { hash: keys } = await judgeBundle(username, bundle);
      for (const chat of this.chats.values()) {
        if (!chat.members.has(username)) continue;
        await this.#event(chat, { kind: 'keys', by: username, usernames: [username], keys });
      }
      const mates = new Set(
        [...this.chats.values()].flatMap(({ members }) => (members.has(username) ? [...members.keys()] : [])),
      );
      this.#push([...mates, username], 'keys', () => ({ username, version: bundle.version }));
    });
  }

  /** Forgets everything of a chat above `last`, as a restored disk would. */
  rollBack(id, last) {
    const chat = this.chats.get(id);
    chat.items.length = last;
    chat.epochs = chat.epochs.filter(({ opened_seq: opened }) => opened <= last);
  }

  cut(name) {
    for (const socket of [...this.sockets]) if (socket.name === name) socket.drop('transport close');
  }

  /** `fetch` and `io` for one device. `name` tells devices of a user apart. */
  transport(name) {
    return {
      fetch: (url, init) => this.#fetch(name, String(url), init),
      io: (url, options) => new ModelSocket(this, name, options),
    };
  }

  /** The history as this user is told it: honest, unless a lie says otherwise. */
  async history(username, chat) {
    const first = chat.members.get(username)?.joined_seq ?? 1;
    let items = chat.items.slice(first - 1).map((item) => known(item));
    const before = first === 1 ? CHAIN_START : chat.items[first - 2].chain;
    if (this.lies.history) items = (await this.lies.history(username, items, chat)) ?? items;
    let chain = before;
    let seq = first;
    for (const item of items) {
      if (!item.keepSeq) item.seq = seq;
      item.before = item.toldBefore ?? chain;
      chain = await chainStep(chain, await bodyHash(chat.id, item.body));
      item.chain = chain;
      seq = item.seq + 1;
    }
    return { items, first };
  }

  // ---- REST ----

  async #fetch(name, url, { method = 'GET', headers = {}, body } = {}) {
    await null;
    if (this.offline.has(name)) throw new TypeError('fetch failed');
    if (body) this.sent.push(body);
    const { pathname, searchParams } = new URL(url, 'http://model');
    try {
      const token = (headers.authorization ?? '').replace('Bearer ', '');
      const username = this.tokens.get(token);
      const answer = await this.#alone(() =>
        this.#route(
          method,
          pathname.replace('/api/v1', ''),
          searchParams,
          body ? JSON.parse(body) : {},
          username,
        ),
      );
      if (this.offline.has(name)) throw new TypeError('fetch failed');
      if (answer === null) return new Response(null, { status: 204 });
      return new Response(JSON.stringify(answer), { headers: { 'content-type': 'application/json' } });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, code, extra } = error;
      const problem = JSON.stringify({ type: 'about:blank', title: code, status, code, ...extra });
      return new Response(problem, { status, headers: { 'content-type': 'application/problem+json' } });
    }
  }

  async #route(method, path, query, body, username) {
    const [, first, second, third] = path.split('/').map(decodeURIComponent);
    const call = `${method} /${first}`;
    if (first === 'auth') return this.#auth(second, body);
    if (!username) throw new Refusal(401, 'unauthorized');
    if (call === 'GET /me') return { key_backup: this.accounts.get(username).backup };
    if (call === 'GET /users' && third === 'keys') return this.#keysOf(username, second);
    if (call === 'GET /users')
      return { items: [...this.accounts.values()].map((account) => this.#user(account)), next: null };
    if (call === 'POST /chats' && !second) return this.#create(username, body);
    if (call === 'GET /chats' && !second) return { items: await this.#list(username), next: null };
    const chat = this.chats.get(second);
    if (!chat?.members.has(username)) throw new Refusal(404, 'not_found');
    if (call === 'GET /chats' && !third) return this.#view(username, chat);
    if (third === 'keys')
      return { items: await Promise.all([...chat.past].map((each) => this.#keysOf(username, each))) };
    if (third === 'events') return this.#change(username, chat, body);
    if (third === 'messages' && method === 'GET') return this.#page(username, chat, query);
    throw new Refusal(404, 'not_found');
  }

  #auth(action, body) {
    const account = this.accounts.get(body.username);
    if (action === 'prelogin') return this.lies.prelogin?.(body.username) ?? { kdf: account.kdf };
    if (action === 'refresh') {
      const username = this.tokens.get(body.refresh_token);
      if (!username) throw new Refusal(401, 'unauthorized');
      return this.#session(this.accounts.get(username));
    }
    if (action === 'logout') return null;
    if (action === 'register') {
      const { username, password, kdf, keys, key_backup: backup, display_name: display } = body;
      if (account) throw new Refusal(409, 'username_taken');
      this.accounts.set(username, { username, password, kdf, backup, bundles: [keys], display });
      return this.#session(this.accounts.get(username));
    }
    if (!account || account.password !== body.password) throw new Refusal(401, 'invalid_credentials');
    const backup = this.lies.backup ? this.lies.backup(body.username, account.backup) : account.backup;
    return { ...this.#session(account), key_backup: backup, state: null };
  }

  #session(account) {
    const token = encodeB64u(randomBytes(16));
    this.tokens.set(token, account.username);
    return { user: this.#user(account), access_token: token, refresh_token: token, expires_in: 900 };
  }

  #user({ username, display, bundles }) {
    const online = [...this.sockets].some((socket) => socket.username === username);
    const status = online ? 'online' : 'offline';
    return {
      username,
      display_name: display,
      created_at: TIME,
      status,
      last_seen: TIME,
      keys_version: bundles.length,
    };
  }

  async #keysOf(asker, username) {
    const account = this.accounts.get(username);
    if (!account) throw new Refusal(404, 'not_found');
    const forms = await Promise.all(
      account.bundles.map(async (bundle) => ({
        username,
        created_at: TIME,
        hash: (await judgeBundle(username, bundle)).hash,
        ...known(bundle),
      })),
    );
    forms.reverse();
    const answer = { ...forms[0], history: forms.slice(1) };
    return this.lies.keys ? ((await this.lies.keys(asker, answer)) ?? answer) : answer;
  }

  async #list(username) {
    const mine = [...this.chats.values()].filter(({ members }) => members.has(username));
    return Promise.all(mine.map((chat) => this.#view(username, chat)));
  }

  async #view(username, chat) {
    const { items, first } = await this.history(username, chat);
    const members = [...chat.members].map(([name, { role, joined_seq: joined }]) => ({
      username: name,
      display_name: this.accounts.get(name).display,
      role,
      joined_seq: joined,
    }));
    const view = {
      id: chat.id,
      name: chat.name,
      key_mode: chat.mode,
      created_by: chat.creator,
      created_at: TIME,
      members,
      membership: null,
      epoch: this.#epochFor(username, chat, chat.epochs.at(-1), items),
      share_due: false,
      first_seq: first,
      last_seq: items.at(-1)?.seq ?? 0,
      read: Object.fromEntries([...chat.marks].map(([name, { read }]) => [name, read])),
      delivered: Object.fromEntries([...chat.marks].map(([name, { delivered }]) => [name, delivered])),
    };
    return this.lies.chat ? (this.lies.chat(username, view) ?? view) : view;
  }

  /** An Epoch as one member sees it; `opened_seq` follows what that member is told. */
  #epochFor(username, chat, epoch, items) {
    const opening = items.find(
      ({ body }) => body.event?.epoch === epoch.number && OPENS.includes(body.event.kind),
    );
    const told = {
      number: epoch.number,
      opened_seq: opening?.seq ?? epoch.opened_seq,
      opened_at: TIME,
      members: epoch.members,
      kid: epoch.wraps.get(username)?.kid ?? null,
      wrapped: epoch.wraps.get(username)?.wrapped ?? null,
      client_share: null,
    };
    return this.lies.epoch ? (this.lies.epoch(username, told, chat, epoch) ?? told) : told;
  }

  async #page(username, chat, query) {
    const { items, first } = await this.history(username, chat);
    const limit = Number(query.get('limit') ?? 50);
    const after = query.get('after');
    const below = query.get('before');
    const fitting = items.filter(
      ({ seq }) => (after === null || seq > Number(after)) && (below === null || seq < Number(below)),
    );
    const page = after === null ? fitting.slice(-limit) : fitting.slice(0, limit);
    const asked =
      after === null ? (below === null ? items.length + first : Number(below)) : Number(after) + 1;
    const beforeEmpty = items.find(({ seq }) => seq === asked)?.before ?? items.at(-1)?.chain ?? CHAIN_START;
    return {
      items: page.map((item) => this.#told(chat, item)),
      before: page[0]?.before ?? beforeEmpty,
      epochs: this.#epochsOf(username, chat, page, items),
      last_seq: items.at(-1)?.seq ?? 0,
    };
  }

  #epochsOf(username, chat, page, items) {
    const numbers = new Set();
    for (const { seq, body } of page) {
      const holding = items.findLast((item) => item.body.event && item.seq <= seq)?.body.event.epoch;
      numbers.add(holding);
      if (body.event) numbers.add(body.event.epoch);
    }
    const needed = chat.epochs.filter(({ number }) => numbers.has(number));
    return needed.map((epoch) => this.#epochFor(username, chat, epoch, items));
  }

  #told(chat, { seq, body }) {
    const frame = { seq, received_at: TIME };
    return body.event
      ? { chat: chat.id, ...frame, event: body.event }
      : { ...frame, chat: chat.id, ...body.envelope };
  }

  // ---- chats ----

  async #create(username, { id, members, name = null, key_mode: mode = 'server' }) {
    const everyone = [username, ...members];
    if (!everyone.every((each) => this.accounts.has(each))) throw new Refusal(400, 'invalid');
    const chat = {
      id,
      name,
      mode,
      creator: username,
      members: new Map(),
      items: [],
      epochs: [],
      marks: new Map(),
      past: new Set(),
    };
    this.chats.set(id, chat);
    for (const each of everyone) this.#join(chat, each, each === username ? 'owner' : 'member', 1);
    await this.#event(chat, { kind: 'create', by: username, usernames: everyone });
    return this.#view(username, chat);
  }

  #join(chat, username, role, seq) {
    chat.members.set(username, { role, joined_seq: seq });
    chat.marks.set(username, { read: 0, delivered: 0 });
    chat.past.add(username);
  }

  async #change(username, chat, { kind, usernames = [], role = 'member', name }) {
    const owner = chat.members.get(username).role === 'owner';
    if (['add', 'remove', 'role', 'rename'].includes(kind) && !owner) throw new Refusal(403, 'forbidden');
    if (kind === 'leave' && owner) throw new Refusal(409, 'last_owner');
    const whom = kind === 'leave' ? [username] : ['rekey', 'rename'].includes(kind) ? [] : usernames;
    const wrong =
      kind === 'add'
        ? whom.some((each) => chat.members.has(each))
        : whom.some((each) => !chat.members.has(each));
    if (wrong) throw new Refusal(400, 'invalid');
    const next = chat.items.length + 1;
    if (kind === 'add') for (const each of whom) this.#join(chat, each, role, next);
    if (kind === 'role') for (const each of whom) chat.members.get(each).role = role;
    if (kind === 'remove' || kind === 'leave') for (const each of whom) chat.members.delete(each);
    if (kind === 'rename') chat.name = name;
    await this.#event(chat, { kind, by: username, usernames: whom });
    if (kind === 'remove' || kind === 'leave') this.#push(whom, 'chat:removed', () => ({ chat: chat.id }));
    return chat.members.has(username) ? this.#view(username, chat) : null;
  }

  async #event(chat, { kind, by, usernames, keys = '' }) {
    const last = chat.epochs.at(-1)?.number ?? 0;
    const opens = OPENS.includes(kind);
    const event = { kind, by, usernames, epoch: last + (opens ? 1 : 0), log: '', share: '', keys };
    if (opens) await this.#openEpoch(chat, event.epoch);
    const item = await this.#append(chat, { event });
    await this.#tell(chat, [...chat.members.keys()], item, null);
  }

  async #openEpoch(chat, number) {
    const secret = randomBytes(32);
    const wraps = new Map();
    for (const username of chat.members.keys()) {
      const { encryption } = await judgeBundle(username, this.accounts.get(username).bundles.at(-1));
      const wrapped = encodeB64u(await wrap(encryption.spki, secret, wrapLabel(chat.id, number)));
      wraps.set(username, { kid: encryption.kid, wrapped });
    }
    chat.epochs.push({
      number,
      opened_seq: chat.items.length + 1,
      members: [...chat.members.keys()],
      wraps,
      secret,
    });
  }

  async #append(chat, body) {
    const before = chat.items.at(-1)?.chain ?? CHAIN_START;
    const chain = await chainStep(before, await bodyHash(chat.id, body));
    const item = { seq: chat.items.length + 1, body, before, chain };
    chat.items.push(item);
    return item;
  }

  /** Pushes an item as each is told it; to whom a lie hides it, nothing comes. */
  async #tell(chat, usernames, item, but) {
    for (const username of usernames) {
      const { items } = await this.history(username, chat);
      const told = items.findLast(({ body }) => JSON.stringify(body) === JSON.stringify(item.body));
      if (!told || told !== items.at(-1)) continue;
      const frame = { ...this.#told(chat, told), before: told.before };
      const view = item.body.event ? await this.#view(username, chat) : null;
      this.#push(
        [username],
        view ? 'event' : 'message',
        () => (view ? { ...frame, chat: view } : frame),
        but,
      );
    }
  }

  #push(usernames, name, make, but = null) {
    for (const socket of this.sockets) {
      if (socket !== but && usernames.includes(socket.username)) socket.deliver(name, known(make()));
    }
  }

  // ---- socket events ----

  async handle(socket, name, payload) {
    this.sent.push(JSON.stringify(payload));
    try {
      return { ok: true, ...(await this.#alone(() => this.#on(socket, name, payload))) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { ok: false, code: error.code, detail: error.code, ...error.extra };
    }
  }

  async #on(socket, name, payload) {
    const { username } = socket;
    if (name === 'message:send') return this.#send(socket, payload);
    if (name === 'sync') {
      const mine = [...this.chats.values()].filter(({ members }) => members.has(username));
      const lasts = await Promise.all(
        mine.map(async (chat) => [chat.id, (await this.history(username, chat)).items.at(-1)?.seq ?? 0]),
      );
      return { behind: Object.fromEntries(lasts.filter(([id, last]) => last > (payload.chats[id] ?? 0))) };
    }
    if (name === 'message:delivered' || name === 'message:read') {
      const mark = this.chats.get(payload.chat)?.marks.get(username);
      if (!mark) throw new Refusal(404, 'not_found');
      const kind = name.slice(8);
      mark[kind] = Math.max(mark[kind], payload.seq);
      const mates = [...this.chats.get(payload.chat).members.keys()];
      this.#push(mates, 'receipt', () => ({ chat: payload.chat, username, ...mark }), socket);
    }
    return {};
  }

  async #send(socket, envelope) {
    const { username } = socket;
    const { header, hash: h } = await parseEnvelope(envelope);
    const chat = this.chats.get(envelope.chat);
    for (const item of chat?.items ?? []) {
      if (item.from !== username || item.id !== header.id) continue;
      if (item.hash !== h) throw new Refusal(409, 'id_conflict');
      return {
        chat: chat.id,
        id: header.id,
        seq: item.seq,
        received_at: TIME,
        before: item.before,
        duplicate: true,
      };
    }
    if (!chat?.members.has(username)) throw new Refusal(404, 'not_found');
    if (header.from !== username) throw new Refusal(400, 'invalid');
    const epoch = chat.epochs.at(-1);
    if (header.epoch < epoch.number) {
      const { items } = await this.history(username, chat);
      throw new Refusal(409, 'stale_epoch', { epoch: this.#epochFor(username, chat, epoch, items) });
    }
    const last = chat.items.length;
    if (header.epoch > epoch.number || header.seen.seq < epoch.opened_seq || header.seen.seq > last)
      throw new Refusal(400, 'invalid');
    const { signing } = await judgeBundle(username, this.accounts.get(username).bundles.at(-1));
    if (!signing.some(({ kid, alg }) => kid === header.kid && alg === header.alg))
      throw new Refusal(409, 'unknown_key');
    const { chat: _chat, ...body } = envelope;
    const item = Object.assign(await this.#append(chat, { envelope: body }), {
      from: username,
      id: header.id,
      hash: h,
    });
    await this.#tell(chat, [...chat.members.keys()], item, socket);
    return {
      chat: chat.id,
      id: header.id,
      seq: item.seq,
      received_at: TIME,
      before: item.before,
      duplicate: false,
    };
  }

  /** One thing at a time, as one committer would. */
  #alone(work) {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

/** Hash of an item's body, as the chain takes it; of what is no envelope, of its text. */
const bodyHash = (chat, body) =>
  body.event
    ? eventHash(chat, body.event)
    : body.envelope.protected
      ? envelopeHash(body.envelope)
      : hash(JSON.stringify(body));

/** What socket.io-client's `io` gives, as far as the library uses it. */
class ModelSocket {
  connected = false;
  active = false;
  username = null;
  #handlers = new Map();
  #queue = Promise.resolve();

  constructor(server, name, options) {
    Object.assign(this, { server, name, options });
  }

  on(name, handler) {
    this.#handlers.set(name, handler);
  }

  connect() {
    this.options.auth(({ token }) => {
      this.username = this.server.tokens.get(token) ?? null;
      if (this.server.offline.has(this.name))
        return this.#fire('connect_error', new Error('transport error'));
      if (!this.username) return this.#fire('connect_error', new Error('unauthorized'));
      this.connected = true;
      this.server.sockets.add(this);
      return this.#fire('connect');
    });
  }

  disconnect() {
    this.drop('io client disconnect');
  }

  drop(reason) {
    this.server.sockets.delete(this);
    if (!this.connected) return;
    this.connected = false;
    this.#fire('disconnect', reason);
  }

  /** In order, and never inside the caller's turn. */
  deliver(name, payload) {
    this.#queue = this.#queue.then(() => {
      if (this.connected) this.#fire(name, payload);
    });
  }

  timeout() {
    return {
      emitWithAck: async (name, payload) => {
        await null;
        const fault = name === 'message:send' ? this.server.faults.get(this.username)?.shift() : undefined;
        if (fault === 'request' || this.server.offline.has(this.name))
          throw new Error('operation has timed out');
        const ack = await this.server.handle(this, name, known(payload));
        if (fault === 'ack' || !this.connected) throw new Error('operation has timed out');
        return ack;
      },
    };
  }

  #fire(name, payload) {
    this.#handlers.get(name)?.(payload);
  }
}

/**
 * The live side of the server (protocol §7): one Socket.IO connection on /chat, acks as answers or errors.
 *
 * Emits only while connected, since socket.io-client would keep what is emitted meanwhile and send it unasked; an
 * emit without an ack in time is `timeout`, which is no refusal. A refused connection is never retried by the
 * library: the token is refreshed first, then tried with a jittered back-off, so that many clients do not return at once.
 */

import { isObject } from './crypto/index.js';
import { ChatSecError, isFailure } from './errors.js';

const ACK_MS = 15_000;
const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 20_000;
const PUSHED = [
  'message',
  'event',
  'receipt',
  'typing',
  'presence',
  'presence:list',
  'chat:removed',
  'keys',
  'session:revoked',
];

/**
 * @typedef {Object} Socket
 * @property {() => void} open
 * @property {() => void} close
 * @property {() => boolean} connected
 * @property {(name: string, payload: unknown) => Promise<Record<string, any>>} emit  the ack; throws its code,
 *   `offline`, `timeout` (it may have arrived) or `bad_answer`
 */

/**
 * @param {object} parts
 * @param {any} parts.io socket.io-client's `io`
 * @param {string} parts.socketUrl origin, '' for the page's own
 * @param {() => Promise<string>} parts.token a fresh access token
 * @param {() => Promise<void>} parts.refresh
 * @param {(ms: number) => Promise<void>} parts.wait
 * @param {() => number} parts.jitter 0 ≤ x < 1
 * @param {(state: 'offline'|'connecting'|'online') => void} parts.onState
 * @param {(name: string, payload: any) => void} parts.onPush
 * @returns {Socket}
 */
export function createSocket({ io, socketUrl, token, refresh, wait, jitter, onState, onPush }) {
  let wanted = false;
  let tries = 0;
  let waiting = false;

  const socket = io(`${socketUrl}/chat`, {
    transports: ['websocket'],
    autoConnect: false,
    forceNew: true,
    reconnectionDelay: FIRST_DELAY_MS,
    reconnectionDelayMax: LAST_DELAY_MS,
    randomizationFactor: 0.5,
    // Without a token the server refuses, which is where refreshing belongs.
    auth: (/** @type {(auth: object) => void} */ give) =>
      token().then(
        (fresh) => give({ token: fresh }),
        () => give({ token: '' }),
      ),
  });

  /** After a refusal: a new token, then again, ever more slowly. */
  async function comeBack() {
    if (waiting) return;
    waiting = true;
    const longest = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** tries);
    tries += 1;
    await wait(longest * (0.5 + jitter() / 2));
    waiting = false;
    if (!wanted || socket.connected) return;
    try {
      await refresh();
    } catch (error) {
      if (!(error instanceof ChatSecError)) throw error;
      // A session that ended closes this socket (`wanted`); without a network it is tried again below.
      if (wanted) void comeBack();
      return;
    }
    if (wanted) socket.connect();
  }

  socket.on('connect', () => {
    tries = 0;
    onState('online');
  });
  socket.on('connect_error', () => {
    onState('connecting');
    if (wanted && !socket.active) void comeBack();
  });
  socket.on('disconnect', () => {
    onState(wanted ? 'connecting' : 'offline');
    if (wanted && !socket.active) void comeBack();
  });
  for (const name of PUSHED) socket.on(name, (/** @type {any} */ payload) => onPush(name, payload));

  return {
    open() {
      wanted = true;
      onState('connecting');
      socket.connect();
    },
    close() {
      wanted = false;
      socket.disconnect();
      onState('offline');
    },
    connected: () => socket.connected,
    async emit(name, payload) {
      if (!socket.connected) throw new ChatSecError('offline', `${name}: not connected`);
      return readAck(name, await acknowledged(socket, name, payload));
    },
  };
}

/** @param {any} socket @param {string} name @param {unknown} payload */
async function acknowledged(socket, name, payload) {
  try {
    return await socket.timeout(ACK_MS).emitWithAck(name, payload);
  } catch (error) {
    throw new ChatSecError('timeout', `${name}: ${error?.message ?? 'no ack'}`);
  }
}

/** @param {string} name @param {any} ack @returns {Record<string, any>} */
function readAck(name, ack) {
  if (isObject(ack) && ack.ok === true) return ack;
  if (!isObject(ack) || ack.ok !== false || !isFailure(ack.code)) {
    throw new ChatSecError('bad_answer', `${name}: not an ack`);
  }
  const { ok: _ok, code, detail, ...extra } = ack;
  throw new ChatSecError(code, typeof detail === 'string' ? detail : undefined, extra);
}

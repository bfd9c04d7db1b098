/** Attachments of the model server: ciphertext of a chat's members, whole or by one range (protocol §6). */

import { randomUUID } from 'node:crypto';

import { need, Refusal } from './refusal.js';

/** @param {any} chat @param {Uint8Array} bytes */
export function putFile(chat, bytes) {
  need(bytes.length > 0);
  const id = randomUUID();
  chat.files.set(id, bytes);
  return { id, size: bytes.length };
}

/** @param {any} server @param {string} username @param {any} chat @param {string} id @param {string|undefined} range
 * @returns {Promise<Response>} */
export async function getFile(server, username, chat, id, range) {
  need(chat.files.has(id), 'not_found');
  const honest = chat.files.get(id);
  const bytes = (await server.lies.file?.(username, id, honest)) ?? honest;
  const headers = { 'content-type': 'application/octet-stream', etag: `"${id}"` };
  const asked = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
  if (!asked) return new Response(bytes, { headers });
  const start = Number(asked[1]);
  const end = Math.min(asked[2] === '' ? Infinity : Number(asked[2]), bytes.length - 1);
  if (start > end) throw new Refusal('range_not_satisfiable');
  const told = { ...headers, 'content-range': `bytes ${start}-${end}/${bytes.length}` };
  return new Response(bytes.slice(start, end + 1), { status: 206, headers: told });
}

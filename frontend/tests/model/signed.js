/**
 * Signed objects as the model server reads them and as hostile people make them (protocol, "Words"), written from the
 * page alone: the library's own reading is what is tested with it. What breaks the form is `invalid`.
 */

import {
  decodeB64u,
  encodeB64u,
  encodeText,
  hash,
  isHash,
  isObject,
  isTime,
  isUsername,
  isUuid,
  parseStrictJson,
  sign,
  verifySignature,
} from '../../lib/crypto/index.js';
import { ChatSecError } from '../../lib/errors.js';
import { need, Refusal } from './refusal.js';

const isText = (value) => typeof value === 'string';

const COMMON = {
  v: (value) => value === 1,
  chat: isUuid,
  by: isUsername,
  alg: isText,
  kid: isHash,
  keys: isHash,
  at: isTime,
};

const statementOf = (kind, text) => encodeText(`chatsec/${kind}/v1\n${text}`);

/**
 * @param {'membership'|'share'} kind
 * @param {any} object `{protected, signature}`
 * @param {Record<string, (value: any) => boolean>} fields what its kind adds
 * @returns {Promise<any>} the fields, `object`, `hash`, and `verify(spki)`
 */
export async function readSigned(kind, object, fields) {
  try {
    need(isObject(object));
    const body = parseStrictJson(decodeB64u(object.protected));
    const signature = decodeB64u(object.signature);
    const form = { ...COMMON, ...fields };
    need(isObject(body) && Object.entries(form).every(([name, fits]) => fits(body[name])));
    const { protected: text, signature: signed } = object;
    return {
      ...body,
      object: { protected: text, signature: signed },
      hash: await hash(`${text}.${signed}`),
      verify: (spki) => verifySignature(body.alg, spki, signature, statementOf(kind, text)),
    };
  } catch (error) {
    if (error instanceof ChatSecError) throw new Refusal('invalid');
    throw error;
  }
}

/** @param {string} kind @param {object} body whole @param {{alg: string, key: any}} signer */
export async function makeSigned(kind, body, { alg, key }) {
  const text = encodeB64u(encodeText(JSON.stringify(body)));
  const signature = encodeB64u(await sign(alg, key, statementOf(kind, text)));
  return { object: { protected: text, signature }, hash: await hash(`${text}.${signature}`), body };
}

// The shapes of single values: ids, names, times, hashes (protocol, "Words" and §6).
//
// Each answers true or false and never throws; what a false means is the caller's to name.

import { isB64u, isCount } from './bytes.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const USERNAME = /^[a-z0-9][a-z0-9._-]{1,30}[a-z0-9]$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** A lower-case UUID. @param {unknown} value @returns {value is string} */
export const isUuid = (value) => typeof value === 'string' && UUID.test(value);

/** @param {unknown} value @returns {value is string} */
export const isUsername = (value) => typeof value === 'string' && USERNAME.test(value);

/** RFC 3339, UTC, milliseconds, `Z`, and a day that exists, of the year 1 at least. @param {unknown} value @returns {value is string} */
export function isTime(value) {
  if (typeof value !== 'string' || !TIME.test(value) || value < '0001') return false;
  const ms = Date.parse(value);
  return !Number.isNaN(ms) && new Date(ms).toISOString() === value;
}

/** A hash, kid or commitment: b64u of 32 bytes. @param {unknown} value @returns {value is string} */
export const isHash = (value) => isB64u(value, 32);

/** A hash, or "" for none. @param {unknown} value @returns {value is string} */
export const isHashOrEmpty = (value) => value === '' || isHash(value);

/** A number that counts from 1: version, epoch, seq, n. @param {unknown} value @returns {value is number} */
export const isOrdinal = (value) => isCount(value) && value >= 1;

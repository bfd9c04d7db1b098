// Reads a vector file of tests/vectors and judges it case by case: good ones must be reproduced, the others refused
// by the name that stands there.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decodeB64u } from '../../lib/crypto/index.js';
import { ChatSecError } from '../../lib/errors.js';
import { flip } from './fixtures.js';

/** @param {string} name @returns {any[]} its cases; a missing file is an error */
export function load(name) {
  const url = new URL(`../../../tests/vectors/${name}.json`, import.meta.url);
  const { construction, source, made_by: madeBy, cases } = JSON.parse(readFileSync(url, 'utf8'));
  assert.equal(construction, name);
  assert.ok(source && ['javascript', 'python'].includes(madeBy));
  assert.ok(
    cases.some((/** @type {any} */ { valid }) => valid) &&
      cases.some((/** @type {any} */ { valid }) => !valid),
  );
  return cases;
}

/**
 * Runs every case of a file.
 * @param {string} name
 * @param {(vector: any) => unknown} good reproduces a valid case
 * @param {(vector: any) => unknown} bad does what must fail
 */
export function reproduce(name, good, bad) {
  const cases = load(name);
  test(`vectors ${name}: every good case is reproduced`, async () => {
    for (const vector of cases.filter(({ valid }) => valid)) {
      await assert.doesNotReject(async () => good(vector), `${name}: ${vector.name}`);
    }
  });
  test(`vectors ${name}: every other case is refused by its name`, async () => {
    for (const vector of cases.filter(({ valid }) => !valid)) {
      assert.equal(await failureOf(() => bad(vector)), vector.failure, `${name}: ${vector.name}`);
    }
  });
}

/** The code that an action fails with, or null. @param {() => unknown} act @returns {Promise<string | null>} */
export async function failureOf(act) {
  try {
    await act();
    return null;
  } catch (error) {
    if (error instanceof ChatSecError) return error.code;
    throw error;
  }
}

/** b64u → bytes, for the fields of a case. */
export const bytes = (/** @type {string} */ text) => decodeB64u(text);

/**
 * Flips one bit of every byte; what is done with the result must be refused.
 * @param {string} what @param {Uint8Array} good @param {(wrong: Uint8Array) => unknown} act
 */
export async function everyFlipFails(what, good, act) {
  for (let at = 0; at < good.length; at++) {
    assert.notEqual(await failureOf(() => act(flip(good, at))), null, `${what}: byte ${at}`);
  }
}

/** What every part of the model server needs: how it refuses, and a clock that stands still. */

const STATUS = {
  invalid: 400,
  invalid_proof: 400,
  invalid_membership: 400,
  invalid_share: 400,
  unauthorized: 401,
  invalid_credentials: 401,
  forbidden: 403,
  wrong_password: 403,
  not_found: 404,
  range_not_satisfiable: 416,
};

/** A refusal: a problem over REST, an ack on the socket. Codes that the table leaves out are 409 (protocol §8). */
export class Refusal extends Error {
  constructor(code, extra = {}) {
    super(code);
    Object.assign(this, { status: STATUS[code] ?? 409, code, extra });
  }
}

/** @param {unknown} fits @param {string} code @param {object} [extra] */
export function need(fits, code = 'invalid', extra = {}) {
  if (!fits) throw new Refusal(code, extra);
}

export const TIME = '2026-11-24T12:00:00.000Z';

export const copyOf = (value) => structuredClone(value);

/** One page of a list, as every list answers. @param {unknown[]} all @param {URLSearchParams} query */
export function listed(all, query) {
  const start = Number(query.get('cursor') ?? 0);
  const end = start + Math.min(Number(query.get('limit') ?? 50), 200);
  return { items: all.slice(start, end), next: end < all.length ? String(end) : null };
}

/**
 * Who is known under which keys: a pin per person, and what the server's bundles are worth against it (protocol §2).
 *
 * `judgePerson` is pure. A pin moves along unbroken continuity by itself; over a reset only by `accept`, which the
 * user's tap calls. Bundles that continuity links to a pin are `linked`; those behind or before a reset that nobody
 * here accepted are `unconfirmed`; a bundle on the far side of a wrong step is of no use at all.
 */

import { isObject, lineOf, walkBundles } from './crypto/index.js';
import { ChatSecError } from './errors.js';
import { createTurns } from './turns.js';

/**
 * @typedef {{username: string, version: number, keys: string, linked: string[], verified: boolean, since?: number}} Pin
 *   `keys` is the bundle hash kh; `linked` all hashes that were ever linked to a pin of theirs; `verified`: the user
 *   compared safety numbers with them, and stays so along continuity; `since`: the version after a reset that the user
 *   accepted, from which continuity leads to here
 * @typedef {{version: number, hash: string, alg: string, kid: string, spki: Uint8Array}} Candidate a signing key of a bundle
 * @typedef {Object} Person
 * @property {string} username
 * @property {Pin|null} pin where the pin is after this answer
 * @property {Map<string, Candidate[]>} kids signing keys of all usable bundles
 * @property {Map<string, number>} versions bundle hash → version
 * @property {Map<string, 'linked'|'unconfirmed'>} trust by bundle hash
 * @property {import('./crypto/lines.js').Line} line all usable bundles, whatever the pin
 * @property {import('./crypto/bundle.js').Judged|null} current
 * @property {string[]} warnings of §5 on the person
 */

/**
 * @param {string} username
 * @param {any} answer as `GET /users/{name}/keys` gives it: the current bundle and its `history`
 * @param {Pin|null} pin null at a first meeting, which pins the current bundle
 * @param {typeof walkBundles} [walk] who walks: a DSA key costs some 6 ms
 * @returns {Promise<Person>} throws `bad_answer` if it is not of that form
 */
export async function judgePerson(username, answer, pin, walk = walkBundles) {
  if (!isObject(answer) || answer.username !== username || !Array.isArray(answer.history)) {
    throw new ChatSecError('bad_answer', 'not the keys of that person');
  }
  const bundles = [answer, ...answer.history];
  const walked = await walk(username, pin && { version: pin.version, keys: pin.keys }, bundles);
  const steps = walked.steps.filter(({ bundle }) => bundle !== null);
  const trust = trustOf(walked.steps, pin);
  /** @type {Person['kids']} */
  const kids = new Map();
  for (const { bundle } of steps) {
    for (const { alg, kid, spki } of bundle?.signing ?? []) {
      if (!bundle || !trust.has(bundle.hash)) continue;
      kids.set(kid, [
        ...(kids.get(kid) ?? []),
        { version: bundle.version, hash: bundle.hash, alg, kid, spki },
      ]);
    }
  }
  return {
    username,
    pin: movedPin(username, walked.current, trust, pin),
    kids,
    versions: new Map(steps.map(({ bundle, version }) => [bundle?.hash ?? '', version])),
    trust,
    line: lineOf(username, walked.steps),
    current: walked.current,
    warnings: warningsOf(walked, trust, pin),
  };
}

/**
 * @param {import('./crypto/bundle.js').Step[]} steps by version @param {Pin|null} pin
 * @returns {Person['trust']}
 */
function trustOf(steps, pin) {
  const known = new Set(pin ? [pin.keys, ...pin.linked] : [steps.at(-1)?.bundle?.hash]);
  const linked = steps.map(({ bundle }) => Boolean(bundle && known.has(bundle.hash)));
  for (let i = 1; i < steps.length; i++) linked[i] ||= linked[i - 1] && steps[i].continuous;
  for (let i = steps.length - 1; i > 0; i--) linked[i - 1] ||= linked[i] && steps[i].continuous;
  const first = linked.indexOf(true);
  /** @type {Person['trust']} */
  const trust = new Map();
  let usable = true;
  for (let i = steps.length - 1; i >= 0; i--) {
    const { bundle, continuous } = steps[i];
    if (bundle && (linked[i] || usable)) trust.set(bundle.hash, linked[i] ? 'linked' : 'unconfirmed');
    // Going back from what is trusted: past an open reset there may be older keys of theirs, past a wrong step not.
    if (i <= first && !continuous && bundle?.previous !== '') usable = false;
  }
  return trust;
}

/** @param {string} username @param {Person['current']} current @param {Person['trust']} trust @param {Pin|null} pin */
function movedPin(username, current, trust, pin) {
  const linked = [
    ...new Set([
      ...(pin?.linked ?? []),
      ...[...trust].filter(([, how]) => how === 'linked').map(([kh]) => kh),
    ]),
  ];
  const moves = current && trust.get(current.hash) === 'linked' && current.version >= (pin?.version ?? 0);
  const verified = pin?.verified ?? false;
  if (moves) return { ...pin, username, version: current.version, keys: current.hash, linked, verified };
  return pin && { ...pin, linked, verified };
}

/** @param {Awaited<ReturnType<typeof walkBundles>>} walked @param {Person['trust']} trust @param {Pin|null} pin */
function warningsOf({ steps, current }, trust, pin) {
  const newest = steps.at(-1);
  const warnings = [];
  if (newest?.failure) warnings.push(newest.failure === 'invalid_proof' ? 'identity_reset' : 'weak_key');
  if (pin && (newest?.version ?? 0) < pin.version) warnings.push('server_rollback');
  else if (pin && current && trust.get(current.hash) !== 'linked') warnings.push('identity_reset');
  return warnings;
}

/** The pin that the user's yes makes of the current keys. @param {Person} person @param {boolean} [verified] by comparing
 * safety numbers @returns {Pin} */
export function acceptedPin({ username, current, pin, trust }, verified = false) {
  if (!current) throw new ChatSecError('weak_key', 'the current keys of this person must not be used');
  const { version, hash: keys } = current;
  const linked = [...new Set([...(pin?.linked ?? []), keys])];
  const since = trust.get(keys) === 'linked' ? pin?.since : version;
  return { username, version, keys, linked, verified, ...(since && { since }) };
}

/**
 * The people this client has met: loads, judges, remembers.
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {import('./store/port.js').Store} parts.store
 * @param {import('./runner.js').Runner} parts.runner
 * @param {(username: string) => void} parts.onChange
 * @param {() => void} parts.onPin  a pin was written
 * @param {() => boolean} parts.isLost  the client state is: nobody shows as verified
 */
export function createPins({ api, store, runner, onChange, onPin, isLost }) {
  /** @type {Map<string, Person>} */
  const people = new Map();
  /** @type {Map<string, string>} username → the answer last judged, as text */
  const judged = new Map();

  const inTurn = createTurns(); // by username: an answer is judged against the pin as it then is

  /** @type {typeof walkBundles} */
  const walk = (username, pin, bundles) => runner.run('walkBundles', { username, pin, bundles });

  const fetchOne = (/** @type {string} */ username) =>
    api.request('GET', `/users/${encodeURIComponent(username)}/keys`);

  /** @param {string} username @param {any} answer */
  async function judge(username, answer) {
    const pin = (await store.get('pins', username)) ?? null;
    const person = await judgePerson(username, answer, pin, walk);
    if (!person.warnings.includes('server_rollback')) return { person, pin, answer };
    // Asked before the pin moved, it says less than is known by now; only an answer to a question of now is a lie.
    const now = await fetchOne(username);
    return { person: await judgePerson(username, now, pin, walk), pin, answer: now };
  }

  /** @param {any} told */
  function take(told) {
    const username = String(told?.username);
    return inTurn(username, async () => {
      const held = people.get(username);
      if (held && judged.get(username) === JSON.stringify(told)) return held;
      const { person, pin, answer } = await judge(username, told);
      if (person.pin && JSON.stringify(person.pin) !== JSON.stringify(pin)) await write([person.pin]);
      people.set(username, person);
      judged.set(username, JSON.stringify(answer));
      onChange(username);
      return person;
    });
  }

  /** @param {Pin[]} pins */
  async function write(pins) {
    await store.write(pins.map((pin) => ({ kind: 'pins', id: pin.username, value: pin })));
    onPin();
  }

  /** Judges again, what was answered last, against the pin as it is now. @param {string} username */
  async function again(username) {
    const text = judged.get(username);
    judged.delete(username);
    if (text) await take(JSON.parse(text));
  }

  return {
    /** @param {string} username @returns {Person|undefined} */
    get: (username) => people.get(username),
    all: () => [...people.values()],
    /** What shows beside the name. @param {string} username */
    verified: (username) => !isLost() && Boolean(people.get(username)?.pin?.verified),
    /** A verified person who began anew: nothing is sent under their new keys before the user's yes. @param {string} username */
    held(username) {
      const person = people.get(username);
      return Boolean(person?.pin?.verified) && Boolean(person?.warnings.includes('identity_reset'));
    },
    take,
    /** Everyone a chat ever had. @param {string} chat */
    async loadChat(chat) {
      const answer = await api.request('GET', `/chats/${chat}/keys`);
      if (!Array.isArray(answer.items)) throw new ChatSecError('bad_answer', 'keys of a chat are not a list');
      for (const item of answer.items) await take(item);
    },
    /** @param {string} username */
    load: async (username) => take(await fetchOne(username)),
    /** The user's yes to the keys as they are now. @param {string} username @param {boolean} [verified]
     * @returns {Promise<Pin|null>} the pin before */
    async accept(username, verified = false) {
      // What the user was shown, not what the server might answer by now.
      const person = people.get(username) ?? (await take(await fetchOne(username)));
      await inTurn(username, () => write([acceptedPin(person, verified)]));
      await again(username);
      return person.pin;
    },
    /** The user's no: compared, and not the same; or no longer sure. @param {string} username */
    async doubt(username) {
      await this.change([username], (_, pin) => (pin?.verified ? { ...pin, verified: false } : null));
    },
    /**
     * Pins as they are to be from now on: another device of the user moved or marked them.
     * @param {string[]} usernames
     * @param {(username: string, pin: Pin|undefined) => Pin|null} make of what the pin is by then; null: it stays
     */
    async change(usernames, make) {
      const work = async () => {
        const pins = new Map((await store.list('pins')).map((pin) => [pin.username, pin]));
        const made = usernames.flatMap((username) => make(username, pins.get(username)) ?? []);
        if (made.length > 0) await write(made);
        return made;
      };
      const inTheirTurns = usernames.reduceRight((then, username) => () => inTurn(username, then), work);
      for (const { username } of await inTheirTurns()) await again(username);
    },
    clear() {
      people.clear();
      judged.clear();
    },
  };
}

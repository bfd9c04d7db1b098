/**
 * A `combined` chat as facts, for tests of the judge: entries, shares and items that `examine` would find in an honest
 * history. Hashes stand for themselves, and every signature verifies.
 */

import { CHAIN_START, changedBy } from '../../lib/crypto/index.js';
import { begin, headBefore } from '../../lib/timeline.js';
import { chainAt, event, message } from './facts.js';

const SHARED = ['create', 'add', 'remove', 'keys', 'retire', 'rekey'];

/** Bundle hash of somebody's version. */
export const kh = (username, version = 1) => `${username} ${version}`;

/** A line of bundles: `linked` says of each whether continuity joins it to the one before. */
export const line = (username, ...linked) => ({
  username,
  sound: true,
  links: linked.map((link, i) => ({ version: i + 1, hash: kh(username, i + 1), linked: link, bundle: {} })),
});

export class History {
  constructor(names = ['alice', 'bob', 'carol'], everybody = [...names, 'dave', 'erin']) {
    this.lines = new Map(everybody.map((name) => [name, line(name, false)]));
    this.facts = [];
    this.entries = [];
    this.shares = new Map(); // epoch → share
    this.epoch = 0;
    this.gone = new Set();
    this.tails = new Map();
    const members = new Map(names.map((name) => [name, { role: 'member', keys: kh(name) }]));
    members.set(names[0], { role: 'owner', keys: kh(names[0]) });
    this.change('create', names[0], { members });
  }

  get seq() {
    return this.facts.length + 1;
  }

  get head() {
    return this.entries.at(-1) ?? null;
  }

  lineOf = (username) => this.lines.get(username);

  trustOf = (username) => new Map(this.lineOf(username)?.links.map(({ hash }) => [hash, 'linked']));

  /** The current bundle of somebody. */
  current = (username) => this.lineOf(username).links.at(-1).hash;

  /** New keys of somebody, by continuity or as a reset. */
  renew(username, linked = true) {
    this.lines.set(
      username,
      line(username, ...this.lineOf(username).links.map((link) => link.linked), linked),
    );
    return this;
  }

  /** The log's members with changes; null takes somebody out. */
  members(changes = {}) {
    const members = new Map(this.head.members);
    for (const [who, change] of Object.entries(changes)) {
      if (change) members.set(who, { keys: this.current(who), ...members.get(who), ...change });
      else members.delete(who);
    }
    return members;
  }

  entry(op, by, { members = this.members(), name = this.head?.name ?? null, ...more } = {}) {
    const n = this.entries.length + 1;
    const own = { kind: 'membership', by, keys: this.current(by), hash: `entry ${n}` };
    return { ...own, n, prev: this.head?.hash ?? '', op, name, members, ...more };
  }

  confirmed(who, keys) {
    const { links } = this.lineOf(who);
    return links.slice(links.findIndex(({ hash }) => hash === keys) + 1).every(({ linked }) => linked);
  }

  share(by, entry, more = {}) {
    const epoch = this.epoch + 1;
    const all = [...entry.members].map(([who, { keys }]) => [who, this.confirmed(who, keys)]);
    const recipients = all
      .filter(([, good]) => good)
      .map(([who]) => [who, { keys: this.current(who), wrap: '' }]);
    const excluded = new Set(all.filter(([, good]) => !good).map(([who]) => who));
    const own = { kind: 'share', by, keys: this.current(by), hash: `share ${epoch}`, epoch };
    return { ...own, membership: entry.hash, recipients: new Map(recipients), excluded, ...more };
  }

  /** An honest change; `more` changes entry, share, the event and the facts. */
  next(kind, by, { entry: entryMore, share: shareMore, event: eventMore, facts, usernames, ...change } = {}) {
    const entry =
      ['rekey', 'ended'].includes(kind) || change.signs === false
        ? null
        : this.entry(kind, by, { ...change, ...entryMore });
    const opens = SHARED.includes(kind);
    const serves = entry ?? this.head;
    const share = opens ? this.share(by, serves, shareMore) : null;
    const who = usernames ?? (entry ? changedBy(this.head, entry) : kind === 'leave' ? [by] : []);
    const epoch = opens ? this.epoch + 1 : this.epoch;
    const hashes = { log: entry?.hash ?? '', share: share?.hash ?? '', ...eventMore };
    const gone = kind === 'create' ? new Set() : this.gone;
    return event(this.seq, kind, by, who, epoch, {
      event: hashes,
      before: this.seq === 1 ? CHAIN_START : chainAt(this.seq - 1),
      entry: entry && { entry, signed: true },
      share: share && { share, signed: true },
      epochKey: null,
      epochMembers: opens ? [...serves.members.keys()].filter((name) => !gone.has(name)) : null,
      ...facts,
    });
  }

  change(kind, by, change = {}) {
    const fact = this.next(kind, by, change);
    this.facts.push(fact);
    const { entry, share, event: told } = fact;
    if (entry) this.entries.push(entry.entry);
    if (share) this.shares.set(told.epoch, share.share);
    this.epoch = told.epoch;
    if (kind === 'ended' || (kind === 'leave' && !entry))
      for (const who of told.usernames) this.gone.add(who);
    for (const who of this.gone) if (!this.head.members.has(who)) this.gone.delete(who);
    return this;
  }

  /** The next message of somebody; `header` and facts may be others. */
  message(from, { header, ...facts } = {}) {
    const lane = `${this.epoch} ${from}`;
    const { n, prev } = this.tails.get(lane) ?? { n: 1, prev: '' };
    const keys = this.shares.get(this.epoch)?.recipients.get(from)?.keys ?? this.current(from);
    const candidates = [{ version: Number(keys.split(' ')[1]), hash: keys }];
    const own = { epoch: this.epoch, n, prev, log: this.head.hash, ...header };
    return message(this.seq, from, { candidates, ...facts, header: own });
  }

  say(from) {
    const fact = this.message(from);
    this.tails.set(`${this.epoch} ${from}`, { n: fact.header.n + 1, prev: fact.hash });
    this.facts.push(fact);
    return this;
  }

  log() {
    return {
      entries: [...this.entries],
      byHash: new Map(this.entries.map((one) => [one.hash, one])),
      failure: null,
    };
  }
}

/** A state before the first of these items of a history. */
export function start(history, facts = history.facts, { anchor = null, position = null, ...more } = {}) {
  const { lineOf, trustOf } = history;
  const [{ seq: first, kind, share: opening, event }] = facts;
  const number = kind === 'message' ? facts[0].header.epoch : event.epoch - (opening ? 1 : 0);
  const opener = history.facts.find((fact) => fact.event?.share && fact.event.epoch === number);
  const epoch = opener && { number, opened_seq: opener.seq, members: opener.epochMembers };
  const log = history.log();
  const combined = {
    log,
    head: headBefore({ facts, log, anchor }),
    share: opener ? opener.share : null,
    ...more,
  };
  const before = first === 1 ? CHAIN_START : chainAt(first - 1);
  return begin({ first, before, epoch: epoch ?? null, context: { lineOf, trustOf, position }, combined });
}

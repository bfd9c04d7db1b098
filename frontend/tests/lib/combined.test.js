/** The judge in `combined` chats: log, shares, who is in the chat, under which keys, wherever the items held begin. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { headBefore, reduce } from '../../lib/timeline.js';
import { chainAt } from './facts.js';
import { History, kh, start } from './log.js';

const judged = (history, ...facts) => reduce(start(history), [...history.facts, ...facts]);
const last = ({ verdicts }) => {
  const { reason, warnings } = verdicts.at(-1);
  return [reason, ...warnings];
};
/** The names of one more item on its event and on the chat. */
function named(history, fact) {
  const state = judged(history, fact);
  assert.deepEqual(last(state).slice(1).sort(), [...state.warnings].sort());
  return last(state).slice(1);
}
const INVALID = ['invalid_membership'];

/** Everything that members may do, once. */
function busy() {
  const h = new History();
  h.say('alice').say('bob').change('rename', 'alice', { name: 'Team' });
  h.change('role', 'alice', { members: h.members({ bob: { role: 'owner' } }) });
  h.say('carol').change('add', 'bob', { members: h.members({ dave: { role: 'member' } }) });
  h.say('dave').change('remove', 'alice', { members: h.members({ carol: null }) });
  h.say('bob').change('leave', 'dave', { members: h.members({ dave: null }) });
  h.change('rekey', 'alice').say('alice');
  h.renew('bob').change('rekey', 'bob').say('bob');
  h.change('add', 'alice', { members: h.members({ carol: { role: 'member' }, erin: { role: 'member' } }) });
  h.change('ended', '', { usernames: ['erin'] }).change('leave', 'carol', { signs: false });
  h.change('retire', 'alice', { members: h.members({ carol: null, erin: null }) });
  h.say('alice').change('add', 'bob', { members: h.members({ carol: { role: 'member' } }) });
  h.renew('carol', false).change('rekey', 'alice');
  h.change('keys', 'alice', { members: h.members({ carol: { keys: kh('carol', 2) } }) });
  return h
    .say('carol')
    .say('alice')
    .change('role', 'bob', { members: h.members({ carol: { role: 'owner' } }) })
    .say('bob');
}

test('an honest history has no names, and ends with its log, its share and its members', () => {
  const h = busy();
  const state = judged(h);
  assert.deepEqual([...state.warnings], []);
  assert.deepEqual(
    state.verdicts.flatMap(({ reason, warnings }) => [reason, ...warnings]).filter(Boolean),
    [],
  );
  assert.deepEqual([...state.members].sort(), ['alice', 'bob', 'carol']);
  const { head, exact, share, served, gone, partial } = state.combined;
  assert.deepEqual([head, exact, share, partial], [h.head, true, h.shares.get(h.epoch), false]);
  assert.equal(served.hash, share.membership);
  assert.deepEqual([...gone], []);
});

test('wherever the items held begin, nothing is named, and nothing else is judged', () => {
  const h = busy();
  for (let from = 1; from < h.facts.length; from++) {
    const facts = h.facts.slice(from);
    const anchor = { seq: h.facts.length, n: h.entries.length };
    for (const with_ of [{ anchor }, { head: undefined }]) {
      const state = reduce(start(h, facts, with_), facts);
      const found = state.verdicts.flatMap(({ reason, warnings }) => [reason, ...warnings]).filter(Boolean);
      assert.deepEqual([found, [...state.warnings]], [[], []], `from item ${from + 1}`);
      assert.equal(state.combined.head?.hash ?? h.head.hash, h.head.hash);
      assert.ok(state.combined.exact || !('anchor' in with_));
    }
  }
});

test('nothing given is changed, and one by one is the same as all at once', () => {
  const h = busy();
  const copy = structuredClone(h.facts);
  const empty = start(h);
  let state = empty;
  for (const fact of h.facts) state = reduce(state, fact);
  const plain = (one) => ({ ...one, context: null });
  assert.deepEqual(plain(state), plain(judged(h)));
  assert.deepEqual(plain(empty), plain(start(h)));
  assert.deepEqual(h.facts, copy);
});

test('the head before the first item: by an entry that is named, else by what the Chat told, else unknown', () => {
  const h = busy();
  const log = h.log();
  const before = (facts, anchor) => headBefore({ facts, log, anchor });
  assert.equal(before(h.facts), null);
  assert.equal(before([]), undefined);
  assert.equal(headBefore({ facts: h.facts, log: { ...log, entries: [] } }), null);
  assert.equal(before(h.facts.slice(1))?.n, 1);
  assert.equal(before(h.facts.slice(-2))?.n, h.entries.length - 1);
  const end = h.facts.slice(-1);
  assert.equal(before(end), undefined);
  const { seq } = end[0];
  assert.equal(before(end, { seq, n: h.entries.length })?.n, h.entries.length);
  assert.equal(before(end, { seq: seq - 1, n: h.entries.length })?.n, h.entries.length);
  assert.equal(before(end, { seq: seq + 1, n: h.entries.length }), undefined, 'items are missing');
  assert.equal(before(end, { seq: seq - 2, n: h.entries.length }), undefined);
});

test('entries: not shown, not signed, another one, out of order, told as something else', () => {
  const h = new History().say('bob');
  const promote = { members: h.members({ bob: { role: 'owner' } }) };
  const role = (more) => h.next('role', 'alice', { ...promote, ...more });
  assert.deepEqual(named(h, role()), []);
  assert.deepEqual(named(h, role({ facts: { entry: null } })), INVALID);
  const { entry } = role().entry;
  assert.deepEqual(named(h, role({ facts: { entry: { entry, signed: false } } })), INVALID);
  assert.deepEqual(named(h, role({ entry: { n: 3 } })), INVALID);
  assert.deepEqual(named(h, role({ entry: { prev: 'entry other' } })), [...INVALID, 'history_fork']);
  const forged = role({ entry: { prev: 'entry other' } });
  forged.entry.signed = false;
  assert.deepEqual(named(h, forged), INVALID, 'what nobody signed proves no fork');
  assert.deepEqual(named(h, role({ entry: { op: 'rename' } })), INVALID);
  assert.deepEqual(named(h, role({ entry: { by: 'bob', keys: kh('bob') } })), INVALID);
  assert.deepEqual(named(h, role({ usernames: ['carol'] })), INVALID);
  assert.deepEqual(named(h, role({ usernames: ['bob', 'carol'] })), INVALID);
  assert.deepEqual(named(h, role({ event: { keys: kh('bob') } })), INVALID);
  assert.deepEqual(named(h, role({ event: { log: '' } })), INVALID);
  assert.deepEqual(named(h, { ...role(), event: { ...role().event, by: 'bob' } }), INVALID);
});

test('a refused entry moves nothing: the head stays, nobody comes or goes, and what follows it is refused', () => {
  const h = new History();
  const add = h.next('add', 'bob', { members: h.members({ dave: { role: 'member' } }) });
  const state = judged(h, add);
  assert.deepEqual(last(state), [null, 'invalid_membership', 'bad_share']);
  assert.equal(state.combined.head.n, 1);
  assert.equal(state.combined.share, null);
  assert.deepEqual([...state.members], ['alice', 'bob', 'carol']);
  h.change('add', 'bob', { members: h.members({ dave: { role: 'member' } }) });
  const [dave, alice] = [h.message('dave'), h.message('alice')];
  assert.deepEqual(last(judged(h, dave)), ['not_a_member']);
  assert.deepEqual(last(judged(h, alice)), ['unknown_key'], 'its epoch has no share');
  const next = h.next('rename', 'alice', { name: 'x' });
  assert.ok(last(judged(h, next)).includes('invalid_membership'));
});

test('a chat begins with `create`, and only there', () => {
  const h = new History();
  const again = h.next('create', 'alice', { members: h.members({ dave: { role: 'member' } }) });
  assert.ok(named(h, again).includes('invalid_membership'));
  const [create] = h.facts;
  const rekey = { ...create, event: { ...create.event, kind: 'rekey', log: '', usernames: [] }, entry: null };
  const state = reduce(start(h, [rekey], { head: null }), [rekey]);
  assert.deepEqual([...state.warnings], [...INVALID, 'bad_share']);
  assert.equal(state.members, null);
});

test('without an entry: a leave, an end, a rekey, and nothing else', () => {
  const h = new History();
  assert.deepEqual(named(h, h.next('leave', 'bob', { signs: false })), []);
  assert.deepEqual(named(h, h.next('leave', 'bob', { signs: false, usernames: ['carol'] })), INVALID);
  assert.deepEqual(named(h, h.next('leave', 'dave', { signs: false })), INVALID);
  assert.deepEqual(named(h, h.next('ended', '', { usernames: ['bob', 'carol'] })), []);
  assert.deepEqual(named(h, h.next('ended', 'bob', { usernames: ['bob'] })), INVALID);
  assert.deepEqual(named(h, h.next('ended', '', { usernames: [] })), INVALID);
  assert.deepEqual(named(h, h.next('ended', '', { usernames: ['dave'] })), INVALID);
  assert.deepEqual(named(h, h.next('rekey', 'bob')), []);
  assert.deepEqual(named(h, h.next('rekey', 'bob', { usernames: ['bob'] })), INVALID);
  const role = { members: h.members({ bob: { role: 'owner' } }) };
  assert.deepEqual(named(h, h.next('role', 'alice', { ...role, signs: false })), INVALID);
  assert.deepEqual(named(h, { ...h.next('role', 'alice', role), event: h.next('rekey', 'alice').event }), [
    'bad_share',
  ]);
  const told = h.next('role', 'alice', { ...role, event: { kind: 'ended', by: '' } });
  assert.deepEqual(named(h, told), INVALID);
  assert.deepEqual(named(h, h.next('role', 'alice', { ...role, event: { kind: 'grant' } })), INVALID);
});

test('who left is retired, and nobody who is here', () => {
  const h = new History();
  const retire = () => h.next('retire', 'alice', { members: h.members({ carol: null }) });
  assert.deepEqual(named(h, retire()), [...INVALID, 'bad_share']);
  h.change('leave', 'carol', { signs: false });
  assert.deepEqual([...judged(h).combined.gone], ['carol']);
  assert.deepEqual(named(h, retire()), []);
  assert.deepEqual(last(judged(h, h.message('carol'))), ['not_a_member']);
  const facts = h.facts.slice(1);
  const late = { anchor: { seq: 2, n: 1 } };
  assert.deepEqual([...reduce(start(h, facts, late), [...facts, retire()]).warnings], []);
  const after = h.change('retire', 'alice', { members: h.members({ carol: null }) }).facts.slice(-1);
  assert.deepEqual([...reduce(start(h, after), after).warnings], [], 'who had gone before is not known');
});

test('shares: not there, not signed, another one, by somebody else, and each rule of its own', () => {
  const h = new History().renew('bob').say('bob');
  const bad = ['bad_share'];
  const rekey = (share, more) => h.next('rekey', 'alice', { share, ...more });
  const { share } = rekey().share;
  assert.deepEqual(named(h, rekey()), []);
  assert.deepEqual(named(h, rekey({}, { facts: { share: null } })), bad);
  assert.deepEqual(named(h, rekey({}, { facts: { share: { share, signed: false } } })), bad);
  assert.deepEqual(named(h, rekey({}, { event: { share: 'share other' } })), bad);
  assert.deepEqual(named(h, rekey({}, { event: { share: '' } })), bad);
  assert.deepEqual(named(h, rekey({ by: 'carol', keys: kh('carol') })), bad);
  assert.deepEqual(named(h, rekey({ epoch: 3 })), bad);
  assert.deepEqual(named(h, rekey({ membership: 'entry other' })), bad);
  assert.deepEqual(named(h, rekey({ keys: kh('dave') })), bad);
  const without = new Map([...share.recipients].filter(([who]) => who !== 'carol'));
  assert.deepEqual(named(h, rekey({ recipients: without })), bad);
  assert.deepEqual(named(h, rekey({ recipients: without, excluded: new Set(['carol']) })), []);
  const stranger = new Map([...without, ['dave', { keys: kh('dave'), wrap: '' }]]);
  assert.deepEqual(named(h, rekey({ recipients: stranger })), bad);
  const foreign = new Map([...without, ['carol', { keys: kh('bob'), wrap: '' }]]);
  assert.deepEqual(named(h, rekey({ recipients: foreign })), bad);
  const rename = { name: 'x', event: { share: 'share 2' } };
  assert.deepEqual(named(h, h.next('rename', 'alice', rename)), bad, 'where none belongs');
  h.change('rekey', 'alice');
  const older = new Map(share.recipients).set('bob', { keys: kh('bob', 1), wrap: '' });
  assert.deepEqual(named(h, rekey({ recipients: older })), bad);
  assert.deepEqual(named(h, h.next('rekey', 'bob', { share: { keys: kh('bob', 1) } })), []);
  const entry = { keys: kh('bob', 1) };
  const leave = h.next('leave', 'bob', { members: h.members({ bob: null }), entry });
  assert.deepEqual(named(h, leave), INVALID, 'keys older than those that the last share names');
});

test('a wrap that is not mine is said on the chat at the item that opens the epoch, and its messages do not open', () => {
  for (const name of ['bad_share', 'wrong_recipient_key']) {
    const h = new History();
    assert.deepEqual(named(h, h.next('rekey', 'alice', { facts: { epochKey: name } })), [name]);
    const state = judged(h.change('rekey', 'alice'), h.message('bob', { key: name }));
    assert.deepEqual(last(state), ['undecryptable']);
    assert.deepEqual([...state.warnings], [name]);
  }
});

test('a message: under the bundle that the share names for its author, and no other', () => {
  const h = new History().renew('bob').renew('bob', false);
  h.change('rekey', 'alice');
  const by = (from, version) => h.message(from, { candidates: [{ version, hash: kh(from, version) }] });
  assert.deepEqual(last(judged(h, by('alice', 1))), [null]);
  assert.deepEqual(last(judged(h, by('carol', 2))), ['unknown_key']);
  assert.deepEqual(last(judged(h, by('bob', 3))), ['unknown_key'], 'excluded');
  assert.deepEqual(last(judged(h, by('dave', 1))), ['not_a_member']);
  h.change('keys', 'alice', { members: h.members({ bob: { keys: kh('bob', 3) } }) });
  assert.deepEqual(last(judged(h, by('bob', 3))), [null]);
  assert.deepEqual(last(judged(h, by('bob', 2))), ['unknown_key']);
  h.trustOf = (who) =>
    new Map([
      [kh(who), 'linked'],
      [kh(who, 3), 'unconfirmed'],
    ]);
  assert.deepEqual(last(judged(h, by('bob', 3))), [null, 'unconfirmed_key'], 'no entry moves a pin');
  h.trustOf = (who) => new Map([[kh(who), 'linked']]);
  assert.deepEqual(last(judged(h, by('bob', 3))), ['unknown_key']);
});

test('`log` of a header is the last entry that an item up to `seen` names', () => {
  const h = new History().say('bob').change('rename', 'alice', { name: 'x' });
  const says = (log, seen) => {
    const header = { log, ...(seen && { seen: { seq: seen, hash: chainAt(seen) } }) };
    const state = judged(h, h.message('bob', { header: { ...header, n: 2, prev: 'h2' } }));
    assert.deepEqual(last(state).slice(1), [...state.warnings]);
    return last(state);
  };
  assert.deepEqual(says('entry 2'), [null]);
  assert.deepEqual(says('entry 1', 2), [null]);
  assert.deepEqual(says('entry 1'), [null, 'history_fork']);
  assert.deepEqual(says('entry 2', 2), [null, 'history_fork']);
  assert.deepEqual(says(''), [null, 'history_fork']);
  const ahead = (log) => {
    const early = h.message('bob', { header: { n: 2, prev: 'h2', log, seen: { seq: 5, hash: chainAt(5) } } });
    const rest = new History().say('bob').change('rename', 'alice', { name: 'x' }).say('bob');
    rest.change('rename', 'alice', { name: 'y' });
    return [...reduce(judged(h, early), rest.facts.at(-1)).warnings];
  };
  assert.deepEqual(ahead('entry 3'), ['server_rollback']);
  assert.deepEqual(ahead('entry 2'), ['server_rollback', 'history_fork']);
});

test('beginning in the middle: a share that is refused, or serves what no item has named yet', () => {
  const h = new History()
    .change('rekey', 'bob')
    .say('bob')
    .say('carol')
    .change('rename', 'alice', { name: 'x' })
    .say('bob');
  const facts = h.facts.slice(3);
  const good = { share: h.shares.get(2), signed: true };
  const from = (more) => {
    const state = reduce(start(h, facts, more), facts);
    return [[...state.warnings], state.verdicts.map(({ reason }) => reason)];
  };
  const fine = [[], [null, null, null]];
  assert.deepEqual(from({}), fine);
  const refused = [['bad_share'], ['unknown_key', null, 'unknown_key']];
  assert.deepEqual(from({ share: null }), refused);
  assert.deepEqual(from({ share: { ...good, signed: false } }), refused);
  assert.deepEqual(from({ share: { ...good, share: { ...good.share, epoch: 1 } } }), refused);
  assert.deepEqual(from({ share: { ...good, share: { ...good.share, membership: 'entry 9' } } }), refused);
  const ahead = { ...good, share: { ...good.share, membership: 'entry 2' } };
  assert.equal(from({ share: ahead })[0][0], 'history_fork');
});

test('beginning in the middle: where the head is not known, an entry tells it, if the log has it after what the share serves', () => {
  const h = new History()
    .change('rekey', 'bob')
    .say('bob')
    .change('rename', 'alice', { name: 'x' })
    .say('bob');
  const facts = h.facts.slice(2);
  const log = h.log();
  const from = (given, more) => {
    const state = reduce(start(h, given, { head: undefined, ...more }), given);
    return [[...state.warnings], state.combined.exact, state.combined.head?.n];
  };
  assert.deepEqual(from(facts), [[], true, 2]);
  assert.deepEqual(from(facts.slice(0, 1)), [[], false, undefined]);
  const less = { ...log, entries: log.entries.slice(0, 1) };
  assert.deepEqual(from(facts, { log: less }), [INVALID, false, undefined]);
  const served = new History().change('rename', 'alice', { name: 'x' }).change('rekey', 'bob').say('bob');
  const [, renamed] = served.facts;
  const again = { ...served.next('rename', 'alice'), entry: renamed.entry };
  Object.assign(again.event, { log: renamed.event.log });
  const twice = [...served.facts.slice(-1), again];
  const state = reduce(start(served, twice, { head: undefined }), twice);
  assert.deepEqual([[...state.warnings], state.combined.exact], [INVALID, false], 'named already');
  const late = new History().say('bob').change('rekey', 'bob').say('carol');
  const rekey = late.facts.slice(1);
  const by = (more) => {
    const state = reduce(start(late, rekey, { head: undefined, ...more }), rekey);
    return [[...state.warnings], state.combined.exact, state.combined.named.get(3)];
  };
  assert.deepEqual(by(), [[], true, 'entry 1'], 'a share tells it too');
  assert.deepEqual(by({ log: { ...late.log(), entries: [] } })[0], ['bad_share']);
});

test('an Epoch wrapped for others than the log names is a fork', () => {
  const h = new History();
  const rekey = h.next('rekey', 'alice', { facts: { epochMembers: ['alice', 'bob', 'carol', 'mallory'] } });
  assert.deepEqual(named(h, rekey), ['history_fork']);
  h.facts[0].epochMembers = ['alice', 'bob'];
  const facts = h.say('bob').facts.slice(1);
  const state = reduce(start(h, facts, { anchor: { seq: 2, n: 1 } }), facts);
  assert.deepEqual([...state.warnings], ['history_fork']);
});

test('the log held before must still be so at its place', () => {
  const h = new History().change('rename', 'alice', { name: 'x' }).say('bob');
  const with_ = (log_n, log_hash) => {
    const position = { seq: 2, chain: chainAt(2), epoch: 1, log_n, log_hash };
    return [...reduce(start(h, h.facts, { position }), h.facts).warnings];
  };
  assert.deepEqual(with_(2, 'entry 2'), []);
  assert.deepEqual(with_(3, 'entry 3'), ['server_rollback']);
  assert.deepEqual(with_(2, 'entry other'), ['history_fork']);
  assert.deepEqual(with_(1, 'entry 1'), ['history_fork']);
});

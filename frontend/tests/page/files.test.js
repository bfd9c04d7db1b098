/** Files: how they are named and worded, and their way to the server beside a begun text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentWords } from '../../components/account/agent.js';
import { createDrafts } from '../../components/chat/drafts.js';
import { isEmoji } from '../../components/chat/emoji.js';
import { isImage, isShownUnasked, plainName, sizeWords } from '../../components/chat/file.js';
import { sealedSize } from '../../lib/crypto/index.js';
import { createTrays, LARGEST, MOST } from '../../hooks/trays.js';

test('only harmless images are drawn, and only small ones unasked', () => {
  assert.ok(isImage({ mime: 'image/png' }));
  for (const mime of ['image/svg+xml', 'text/html', 'application/pdf', '', 'image/PNG'])
    assert.ok(!isImage({ mime }), mime);
  assert.ok(isShownUnasked({ mime: 'image/jpeg', size: 1_000_000 }));
  assert.ok(!isShownUnasked({ mime: 'image/jpeg', size: 50_000_000 }));
});

test('a file name is no path and hides nothing', () => {
  assert.equal(plainName('a photo.png'), 'a photo.png');
  assert.equal(plainName('../../etc/passwd'), '.._.._etc_passwd');
  assert.equal(plainName('invoice\u202Efdp.exe'), 'invoice_fdp.exe');
  assert.equal(plainName('a\u0000b\\c\n'), 'a_b_c_');
  assert.equal(plainName(' '), 'file');
});

test('sizes, browsers and reactions in words', () => {
  assert.deepEqual([0, 999, 1000, 2_411_000, 104_857_600].map(sizeWords), [
    '0 B',
    '999 B',
    '1.0 KB',
    '2.4 MB',
    '105 MB',
  ]);
  const chrome =
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36';
  assert.equal(agentWords(chrome), 'Chrome on Linux');
  assert.equal(agentWords(`${chrome} Edg/130.0`), 'Edge on Linux');
  assert.equal(agentWords('backup-bot/1.2'), 'backup-bot/1.2');
  assert.equal(agentWords(''), 'Unknown app');
  assert.deepEqual(['👍', '👨‍👩‍👧', '❤️', 'x', '', 'no', '👍👍', `e${'\u0301'.repeat(40)}`].map(isEmoji), [
    true,
    true,
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

/** An upload that ends when the test says so. */
function slowly() {
  /** @type {{name: string, end: (failure?: Error) => void, progress: (share: number) => void}[]} */
  const begun = [];
  const upload = (/** @type {string} */ _chat, /** @type {File} */ file, /** @type {any} */ options) =>
    new Promise((resolve, reject) => {
      options.signal.addEventListener('abort', () => reject(options.signal.reason));
      begun.push({
        name: file.name,
        end: (failure) => (failure ? reject(failure) : resolve({ id: file.name })),
        progress: (done) => options.onProgress({ done, of: 1 }),
      });
    });
  return { trays: createTrays(/** @type {any} */ (upload)), begun };
}

const file = (/** @type {string} */ name) => new File(['x'], name);
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('files go one after the other, with progress; a second try sends what is there already by its id', async () => {
  const { trays, begun } = slowly();
  trays.add('c', [file('a'), file('b')]);
  const first = trays.upload('c');
  begun[0].progress(0.5);
  assert.equal(trays.get('c').pieces[0].done, 0.5);
  assert.ok(trays.get('c').uploading);
  trays.add('c', [file('late')]);
  assert.equal(trays.get('c').pieces.length, 2);
  begun[0].end();
  await turn();
  begun[1].end(new Error('the connection went'));
  await assert.rejects(first, /connection/);
  assert.deepEqual(
    [trays.get('c').uploading, trays.get('c').pieces.map(({ done }) => done)],
    [false, [1, null]],
  );

  const second = trays.upload('c');
  await turn();
  assert.deepEqual(
    begun.map(({ name }) => name),
    ['a', 'b', 'b'],
  );
  begun[2].end();
  assert.deepEqual(await second, [{ id: 'a' }, { id: 'b' }]);
  trays.clear('c');
  assert.deepEqual(trays.get('c').pieces, []);
});

test('a cancel sends nothing, and leaves the other files chosen', async () => {
  const { trays } = slowly();
  trays.add('c', [file('a'), file('b')]);
  const sent = trays.upload('c');
  trays.drop('c', trays.get('c').pieces[0].key);
  assert.equal(await sent, null);
  assert.deepEqual(
    trays.get('c').pieces.map((piece) => piece.file.name),
    ['b'],
  );
  assert.ok(!trays.get('c').uploading);
});

test('there is room for so many files and no more', () => {
  const { trays } = slowly();
  const many = Array.from({ length: MOST + 1 }, (_, i) => file(String(i)));
  trays.add('c', many);
  assert.deepEqual([trays.get('c').pieces.length, trays.get('c').problem], [MOST, 'too_many']);
  trays.drop('c', trays.get('c').pieces[0].key);
  assert.equal(trays.get('c').problem, null);
});

test('what is too large is told before anything is uploaded, and nothing that fits is', () => {
  const sized = (/** @type {number} */ size) => /** @type {any} */ ({ name: String(size), size });
  const { trays } = slowly();
  trays.add('c', [sized(LARGEST), sized(0)]);
  assert.deepEqual([trays.get('c').pieces.length, trays.get('c').problem], [2, null]);
  trays.add('c', [sized(LARGEST + 1)]);
  assert.deepEqual([trays.get('c').pieces.length, trays.get('c').problem], [2, 'too_large']);
  assert.ok(sealedSize(LARGEST) <= 100 * 1024 * 1024 && sealedSize(LARGEST + 1) > 100 * 1024 * 1024);
});

test('an edit leaves the text that was begun alone; what is refused is the user’s again', () => {
  const drafts = createDrafts();
  const item = /** @type {any} */ ({ id: 'm', payload: { type: 'text', body: 'as it was' } });
  drafts.set('c', { text: 'begun' });
  drafts.aim('c', { kind: 'edit', item });
  assert.deepEqual([drafts.get('c').text, drafts.get('c').edit], ['begun', 'as it was']);
  drafts.taken('c', drafts.get('c').target);
  assert.deepEqual([drafts.get('c').text, drafts.get('c').target], ['begun', null]);

  drafts.aim('c', { kind: 'reply', item });
  const { target } = drafts.get('c');
  drafts.taken('c', target);
  assert.deepEqual([drafts.get('c').text, drafts.get('c').target], ['', null]);
  drafts.refused('c', target, 'begun');
  assert.deepEqual([drafts.get('c').text, drafts.get('c').target], ['begun', target]);
  drafts.set('c', { text: 'gone on' });
  drafts.refused('c', null, 'begun');
  assert.equal(drafts.get('c').text, 'gone on');
});

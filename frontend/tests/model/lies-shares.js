/** Lies about shares, wraps and epoch keys of a `combined` chat (protocol §4). */

import { randomBytes } from 'node:crypto';

import { encodeB64u, wrap, wrapLabel } from '../../lib/crypto/index.js';
import { forgeShare, put } from './forge.js';
import { reader } from './hostile.js';
import { currentOf } from './keys.js';
import { bend, epochLie, falseBundle, shareLie, toldTo } from './telling.js';

/** A share of bob's, made wrong, opens an epoch; carol, who is there, and alice must name it. */
async function rekeyed(world, change, by = 'bob') {
  const carol = await reader(world);
  const share = await forgeShare(world, by, change);
  await put(world, { kind: 'rekey', by }, { share });
  return [carol, world.alice];
}

const MEMBERS = ['alice', 'bob', 'carol', 'dave'];
const objectOf = (share, name) => ({ ...share.object, wrapped: share.wraps[name] });

/** S_e of another making, wrapped for carol as it should be. */
async function anotherSecret({ server, id }) {
  const { encryption } = await currentOf(server.accounts.get('carol'));
  return encodeB64u(await wrap(encryption.spki, randomBytes(32), wrapLabel(id, 2)));
}

export const SHARES = [
  {
    lie: 'the share of an older epoch',
    name: 'bad_share',
    on: 'chat',
    tell: (world) =>
      toldTo(world, {
        epoch: epochLie(2, (told, chat) => ({ client_share: objectOf(chat.epochs[0].share, 'carol') })),
      }),
  },
  {
    lie: 'the share of another chat',
    name: 'bad_share',
    on: 'chat',
    async tell(world) {
      const id = await world.alice.startChat({ usernames: ['bob', 'carol'], keyMode: 'combined' });
      const { share } = world.server.chats.get(id).epochs[0];
      return toldTo(world, {
        epoch: (told, chat) =>
          chat.id === world.id && told.number === 2
            ? { ...told, client_share: objectOf(share, 'carol') }
            : told,
      });
    },
  },
  {
    lie: 'an epoch without its share',
    name: 'bad_share',
    on: 'chat',
    tell: (world) => toldTo(world, { epoch: epochLie(2, () => ({ client_share: null })) }),
  },
  {
    lie: 'a share whose text decodes to the same, but is written differently',
    name: 'bad_share',
    on: 'chat',
    tell: (world) =>
      toldTo(world, {
        epoch: shareLie(2, (chat, { client_share: { signature } }) => ({ signature: bend(signature) })),
      }),
  },
  {
    lie: "somebody else's wrap",
    name: 'bad_share',
    on: 'chat',
    tell: (world) =>
      toldTo(world, { epoch: shareLie(2, ({ epochs }) => ({ wrapped: epochs[1].share.wraps.bob })) }),
  },
  {
    lie: 'the wrap of another epoch',
    name: 'bad_share',
    on: 'chat',
    tell: (world) =>
      toldTo(world, { epoch: shareLie(2, ({ epochs }) => ({ wrapped: epochs[0].share.wraps.carol })) }),
  },
  {
    lie: 'a share that serves an older entry',
    name: 'bad_share',
    on: 'chat',
    all: true,
    async tell(world) {
      await world.alice.changeChat(world.id, { kind: 'rename', name: 'the same people' });
      return rekeyed(world, { serves: world.chat.log[1] });
    },
  },
  {
    lie: 'a share for a stranger too',
    name: 'bad_share',
    on: 'chat',
    all: true,
    tell: (world) => rekeyed(world, { names: [...MEMBERS, 'erin'] }),
  },
  {
    lie: 'a share that leaves a member out',
    name: 'bad_share',
    on: 'chat',
    all: true,
    tell: (world) => rekeyed(world, { names: ['alice', 'bob', 'carol'] }),
  },
  {
    lie: 'a share whose author gets none',
    name: 'bad_share',
    on: 'chat',
    all: true,
    tell: (world) => rekeyed(world, { names: ['alice', 'carol', 'dave'], excluded: ['bob'] }),
  },
  {
    lie: 'a share of a removed member, together with the server',
    name: 'bad_share',
    on: 'chat',
    all: true,
    async tell(world) {
      await world.alice.changeChat(world.id, { kind: 'remove', usernames: ['bob'] });
      return rekeyed(world, { names: MEMBERS });
    },
  },
  {
    lie: 'the share that a removed member knows, for the epoch after',
    name: 'bad_share',
    on: 'chat',
    async tell(world) {
      await world.alice.changeChat(world.id, { kind: 'remove', usernames: ['bob'] });
      return toldTo(world, {
        epoch: epochLie(3, (told, chat) => ({ client_share: objectOf(chat.epochs[1].share, 'carol') })),
      });
    },
  },
  {
    lie: 'a share under keys that were never hers',
    name: 'bad_share',
    on: 'chat',
    all: true,
    async tell(world) {
      const { other } = await falseBundle('alice');
      return rekeyed(world, { under: { alice: other.hash } });
    },
  },
  {
    lie: 'a share under an older bundle than the one before it',
    name: 'bad_share',
    on: 'chat',
    all: true,
    async tell(world) {
      const { server, identities } = world;
      const old = await currentOf(server.accounts.get('dave'));
      const { bundle, backup } = await identities.get('dave').renew();
      await server.renewKeys('dave', bundle, backup);
      await world.alice.changeChat(world.id, { kind: 'rekey' });
      return rekeyed(world, { under: { dave: old.hash } });
    },
  },
  {
    lie: 'a wrap that opens to something else than was committed to',
    name: 'wrong_recipient_key',
    on: 'chat',
    all: true,
    async tell(world) {
      const other = randomBytes(32);
      const [carol] = await rekeyed(world, {
        wrapFor: (name, secret, wrapIt) => wrapIt(name === 'carol' ? other : secret),
      });
      return [carol];
    },
  },
  {
    lie: 'a wrap that does not open',
    name: 'wrong_recipient_key',
    on: 'chat',
    all: true,
    async tell(world) {
      const [carol] = await rekeyed(world, {
        wrapFor: (name, secret, wrapIt) => (name === 'carol' ? randomBytes(384) : wrapIt(secret)),
      });
      return [carol];
    },
  },
  {
    lie: 'S_e of another epoch',
    name: 'undecryptable',
    on: 'message',
    tell: (world) =>
      toldTo(world, {
        epoch: epochLie(2, (told, { epochs }) => ({ wrapped: epochs[0].wraps.get('carol').wrapped })),
      }),
  },
  {
    lie: 'another S_e in its place',
    name: 'key_mismatch',
    on: 'message',
    async tell(world) {
      const wrapped = await anotherSecret(world);
      return toldTo(world, { epoch: epochLie(2, () => ({ wrapped })) });
    },
  },
];

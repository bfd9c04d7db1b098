/**
 * The slow and the secret work, off the page's thread: Argon2id, key generation, judging bundles, safety numbers, shares
 * for many, and signing with keys that the platform cannot hold. In a browser it runs as a module worker; elsewhere
 * runner.js calls `runTask` inline. Refuses a task that is not in the table. Private keys that come wrapped are opened
 * here only, and zeroed.
 */

import {
  aesGcmDecrypt,
  deriveLogin,
  generateKeys,
  importPrivate,
  makeEntry,
  makeShare,
  safetyNumber,
  sealEnvelope,
  walkBundles,
} from './crypto/index.js';
import { ChatSecError } from './errors.js';
import { keyAad } from './local.js';

export { keyAad };

/** @type {Record<string, (args: any) => Promise<any>>} */
const TASKS = {
  deriveLogin: ({ password, kdf }) => deriveLogin(password, kdf),
  generateKeys: () => generateKeys(),
  walkBundles: ({ username, pin, bundles }) => walkBundles(username, pin, bundles),
  safetyNumber: async ({ one, other }) => safetyNumber(one, other),
  sealEnvelope: signing(sealEnvelope),
  makeEntry: signing(makeEntry),
  makeShare: signing(makeShare),
};

/** A task whose `signer` may hold its key wrapped. @param {(parts: any) => Promise<any>} make @returns {(args: any) => Promise<any>} */
function signing(make) {
  return async ({ signer, ...parts }) =>
    make({ ...parts, signer: { ...signer, key: await openKey(signer) } });
}

/** @param {{alg: string, kid: string, key?: any, wrapped?: {under: CryptoKey, iv: Uint8Array, ciphertext: Uint8Array}}} signer */
async function openKey({ alg, kid, key, wrapped }) {
  if (!wrapped) return key;
  const pkcs8 = await aesGcmDecrypt(wrapped.under, wrapped.iv, wrapped.ciphertext, keyAad(kid));
  const opened = await importPrivate(alg, pkcs8);
  pkcs8.fill(0);
  return opened;
}

/** @param {string} task @param {any} args @returns {Promise<any>} */
export async function runTask(task, args) {
  if (!Object.hasOwn(TASKS, task)) throw new TypeError(`no such task: ${task}`);
  return TASKS[task](args);
}

/** Answers messages `{id, task, args}` with `{id, value}` or `{id, failure}`. @param {any} scope of a worker */
export function serve(scope) {
  scope.addEventListener('message', async (/** @type {MessageEvent} */ { data: { id, task, args } }) => {
    try {
      scope.postMessage({ id, value: await runTask(task, args) });
    } catch (error) {
      const named = error instanceof ChatSecError;
      scope.postMessage({
        id,
        failure: { code: named ? error.code : null, detail: error?.message ?? String(error) },
      });
    }
  });
}

// A module worker is this file itself; a page or Node that imports it has no such scope.
const scope = /** @type {any} */ (globalThis);
if (scope.WorkerGlobalScope && scope instanceof scope.WorkerGlobalScope) serve(scope);

// The door of the crypto: pure functions on bytes, the same in browser, worker and Node. Nothing outside this folder
// imports deeper.

export { ALGORITHMS, rsaOaepDecrypt, verifySignature } from './algorithms.js';
export { aesGcmDecrypt } from './symmetric.js';

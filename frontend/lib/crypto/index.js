// The door of the crypto: pure functions on bytes, the same in browser, worker and Node. Nothing outside this folder
// imports deeper. What a caller may rely on is what stands here; every failure is a ChatSecError with a code of the
// closed list (lib/errors.js).

export {
  ALGORITHMS,
  generateKey,
  importPrivate,
  isNative,
  judgeKey,
  mayLink,
  publicOf,
  rsaOaepDecrypt,
  sign,
  SIGNING,
  unwrap,
  verifySignature,
  wrap,
  WRAPPING,
} from './algorithms.js';
export { ATTACHMENT_KEY_BYTES, isAttachment, NONCE_BYTES } from './attachment.js';
export { newBackupKey, openBackup, sealBackup, unwrapBackupKey, wrapBackupKey } from './backup.js';
export {
  continues,
  generateKeys,
  judgeBundle,
  kidOf,
  makeBundle,
  signingKey,
  statementOf,
  walkBundles,
} from './bundle.js';
export {
  concat,
  decodeB64u,
  decodeText,
  encodeB64u,
  encodeText,
  equal,
  fromHex,
  hash,
  isB64u,
  isCount,
  isObject,
  parseStrictJson,
  randomBytes,
  sha256,
  toHex,
} from './bytes.js';
export { CHAIN_START, chainOver, chainStep, eventHash, judgeEvent } from './chain.js';
export { makeEntry, nextEntry, standing } from './changes.js';
export {
  checkCommitment,
  encodeHeader,
  envelopeHash,
  MAX_PAYLOAD,
  newLane,
  openEnvelope,
  parseEnvelope,
  parsePayload,
  sealEnvelope,
  verifyEnvelope,
} from './envelope.js';
export { combinedSecret, epochKey, keyCommitment, openEpoch, unwrapSecret, wrapLabel } from './epoch.js';
export { isHash, isHashOrEmpty, isOrdinal, isTime, isUsername, isUuid } from './forms.js';
export { argon2id, deriveLogin, judgeKdf, newKdf, splitMaster } from './kdf.js';
export { confirmed, currentLink, lineOf, linkOf, reaches, versionIn } from './lines.js';
export {
  changedBy,
  compareLog,
  differenceOf,
  emptyLog,
  extendLog,
  isForked,
  judgeEntry,
  ownersOf,
  readEntry,
  strangersIn,
} from './membership.js';
export { pad, paddedLength, unpad } from './padding.js';
export { newRecoveryCode, readRecoveryCode, recoverySecrets, showRecoveryCode } from './recovery.js';
export { fit, MAX_STATE, openState, sealState, stateKey, stateNumber, unjudged } from './state.js';
export { openStream, SEGMENT, sealedSize, sealStream, segmentCount, segmentIv } from './stream.js';
export { fingerprint, qrText, readQr, safetyNumber } from './safety.js';
export {
  judgeShare,
  makeShare,
  openCombinedEpoch,
  openShare,
  readShare,
  recipientsFor,
  servesHead,
  shareCommitment,
} from './share.js';
export { isSigned, signedHash, signObject } from './signed.js';
export { aesGcmDecrypt, aesGcmEncrypt, hkdf, hmacSha256, importAesKey } from './symmetric.js';

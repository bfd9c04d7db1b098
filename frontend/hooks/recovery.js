/** Recovery codes as people type them (docs/protocol.md §3): without regard to case, blanks and hyphens; I L are 1, O is 0. Pure. */

/** @param {string} code */
function plain(code) {
  return code.toUpperCase().replace(/[\s-]/gu, '').replace(/[IL]/g, '1').replace(/O/g, '0');
}

/** @param {string} typed @param {string} code */
export function isSameCode(typed, code) {
  return plain(typed) === plain(code);
}

/** 32 characters of Crockford's alphabet? @param {string} typed */
export function looksLikeCode(typed) {
  return /^[0-9A-HJKMNP-TV-Z]{32}$/.test(plain(typed));
}

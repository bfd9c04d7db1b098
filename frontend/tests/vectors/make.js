// Writes the vectors that this side makes: `node tests/vectors/make.js` in frontend/. The same bytes every time; the
// other side reproduces them, and so do the tests beside this file.

import { writeFileSync } from 'node:fs';
import * as backup from './makers/backup.js';
import * as dsa from './makers/dsa.js';
import * as envelope from './makers/envelope.js';
import * as padding from './makers/padding.js';
import * as password from './makers/password.js';
import * as recovery from './makers/recovery.js';
import * as signed from './makers/signed.js';
import * as wrap from './makers/wrap.js';

const MAKERS = { backup, dsa, envelope, padding, password, recovery, signed, wrap };

for (const [name, { make }] of Object.entries(MAKERS)) {
  const { construction, source, ...content } = await make(); // cases, and whom they are about
  const file = { construction, source, made_by: 'javascript', ...content };
  const path = new URL(`../../../tests/vectors/${name}.json`, import.meta.url);
  writeFileSync(path, `${JSON.stringify(file, null, 1)}\n`);
}

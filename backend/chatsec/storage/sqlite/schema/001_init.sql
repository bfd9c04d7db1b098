-- Everything that the server keeps. Times are milliseconds since 1970 UTC; a `no` is the store's own short number.

CREATE TABLE users (
  no INTEGER PRIMARY KEY,
  username TEXT NOT NULL UNIQUE,
  display_name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  password_hash BLOB NOT NULL,
  kdf TEXT,                          -- JSON, as prelogin answers it; NULL for plain REST users
  recovery_hash BLOB,
  keys_version INTEGER NOT NULL DEFAULT 0,
  keys_hash TEXT NOT NULL DEFAULT '',
  backup TEXT,                       -- JSON, as uploaded
  state TEXT,
  status TEXT NOT NULL DEFAULT 'online',
  last_seen INTEGER,
  ended_at INTEGER
);

CREATE TABLE bundles (
  hash TEXT PRIMARY KEY,
  username TEXT NOT NULL REFERENCES users (username),
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  encryption_kid TEXT NOT NULL,
  encryption_spki BLOB NOT NULL,
  signing TEXT NOT NULL,             -- JSON: kid → alg
  body TEXT NOT NULL,                -- JSON, as uploaded
  UNIQUE (username, version)
) WITHOUT ROWID;

CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  username TEXT NOT NULL REFERENCES users (username),
  created_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  rotated_at INTEGER NOT NULL,
  agent TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (username);

CREATE TABLE chats (
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT,
  key_mode TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  request BLOB NOT NULL,             -- hash of the request that made it
  epoch INTEGER NOT NULL,
  opened_seq INTEGER NOT NULL,
  opened_at INTEGER NOT NULL
);

-- Everyone a chat ever had; `left_seq` is NULL while they are members.
CREATE TABLE people (
  chat INTEGER NOT NULL REFERENCES chats (no) ON DELETE CASCADE,
  username TEXT NOT NULL,
  role TEXT NOT NULL,
  joined_seq INTEGER NOT NULL,
  left_seq INTEGER,
  keys TEXT NOT NULL,                -- the bundle that the current epoch is wrapped to
  delivered INTEGER NOT NULL DEFAULT 0,
  read INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (chat, username)
) WITHOUT ROWID;
CREATE INDEX people_by_user ON people (username, chat);

CREATE TABLE epochs (
  chat INTEGER NOT NULL REFERENCES chats (no) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  opened_seq INTEGER NOT NULL,
  opened_at INTEGER NOT NULL,
  members TEXT NOT NULL,             -- JSON: usernames, sorted
  PRIMARY KEY (chat, number)
) WITHOUT ROWID;

CREATE TABLE wraps (
  chat INTEGER NOT NULL REFERENCES chats (no) ON DELETE CASCADE,
  epoch INTEGER NOT NULL,
  username TEXT NOT NULL,
  kid TEXT NOT NULL,
  wrapped TEXT NOT NULL,
  PRIMARY KEY (chat, username, epoch)
) WITHOUT ROWID;

-- The sequences. `place` is chat << 31 | seq: a chat's items are a range of it. Rows lie as they came, since adding at
-- the end touches half as many pages as adding at the end of every chat.
CREATE TABLE items (
  no INTEGER PRIMARY KEY,
  place INTEGER NOT NULL UNIQUE,
  received_at INTEGER NOT NULL,
  chain BLOB NOT NULL,               -- c after this item
  body BLOB NOT NULL,                -- JSON without braces
  chat INTEGER NOT NULL,
  sender INTEGER,                    -- users.no; NULL for events
  id BLOB                            -- the message's id, 16 bytes
);
CREATE UNIQUE INDEX items_by_id ON items (chat, sender, id) WHERE id IS NOT NULL;

CREATE TABLE attachments (
  id TEXT PRIMARY KEY,
  chat INTEGER NOT NULL REFERENCES chats (no) ON DELETE CASCADE,
  username TEXT NOT NULL,
  size INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX attachments_by_chat ON attachments (chat);

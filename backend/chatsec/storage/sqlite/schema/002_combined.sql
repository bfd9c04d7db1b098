-- Key mode `combined` (protocol §4): the membership log and the client shares, as they were signed.

CREATE TABLE entries (
  chat INTEGER NOT NULL REFERENCES chats (no) ON DELETE CASCADE,
  n INTEGER NOT NULL,
  seq INTEGER NOT NULL,              -- of the item that names it
  hash TEXT NOT NULL,
  protected TEXT NOT NULL,
  signature TEXT NOT NULL,
  PRIMARY KEY (chat, n)
);

CREATE TABLE shares (
  chat INTEGER NOT NULL REFERENCES chats (no) ON DELETE CASCADE,
  epoch INTEGER NOT NULL,
  hash TEXT NOT NULL,
  protected TEXT NOT NULL,
  signature TEXT NOT NULL,
  PRIMARY KEY (chat, epoch)
);

-- C wrapped, beside S_e; NULL in `server` chats.
ALTER TABLE wraps ADD COLUMN client_wrapped TEXT;

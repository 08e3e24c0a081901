-- The ledger of a cloud. A state changes in one transaction.

CREATE TABLE studies (
    digest BLOB PRIMARY KEY,
    text BLOB NOT NULL,
    signature BLOB NOT NULL
);

-- state: open, complete, withdrawn. Of what is withdrawn nothing is left but this row.
CREATE TABLE uploads (
    digest BLOB PRIMARY KEY,
    study BLOB NOT NULL REFERENCES studies (digest),
    owner TEXT NOT NULL,
    id BLOB NOT NULL,
    manifest BLOB NOT NULL,
    signature BLOB NOT NULL,
    state TEXT NOT NULL,
    received BLOB,
    receipt BLOB,
    UNIQUE (owner, id)
);

CREATE TABLE chunks (
    upload BLOB NOT NULL REFERENCES uploads (digest),
    place BIGINT NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (upload, place)
);

-- state: proposed, approved, running, trained, sealed, released, failed, cancelled.
-- `id` is kept for ever: no id is used twice.
CREATE TABLE jobs (
    digest BLOB PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    study BLOB NOT NULL REFERENCES studies (digest),
    text BLOB NOT NULL,
    signature BLOB NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    step BIGINT NOT NULL,
    steps BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    opened BLOB,
    heads BLOB,
    release_signature BLOB,
    release_peer_signature BLOB
);

CREATE TABLE approvals (
    job BLOB NOT NULL REFERENCES jobs (digest),
    owner TEXT NOT NULL,
    expires BIGINT NOT NULL,
    signature BLOB NOT NULL,
    revoked BLOB,
    PRIMARY KEY (job, owner)
);

-- Every attempt that was ever begun: none is begun twice.
CREATE TABLE attempts (
    job BLOB NOT NULL REFERENCES jobs (digest),
    nonce_0 BLOB NOT NULL,
    nonce_1 BLOB NOT NULL,
    began BIGINT NOT NULL,
    PRIMARY KEY (job, nonce_0, nonce_1)
);

CREATE TABLE checkpoints (
    job BLOB NOT NULL REFERENCES jobs (digest),
    nonce_0 BLOB NOT NULL,
    nonce_1 BLOB NOT NULL,
    step BIGINT NOT NULL,
    made BIGINT NOT NULL,
    object TEXT NOT NULL,
    PRIMARY KEY (job, nonce_0, nonce_1, step)
);

-- Owners' partial decryptions, sealed to each recipient.
CREATE TABLE answers (
    job BLOB NOT NULL REFERENCES jobs (digest),
    owner TEXT NOT NULL,
    recipient TEXT NOT NULL,
    parts BIGINT NOT NULL,
    PRIMARY KEY (job, owner, recipient)
);

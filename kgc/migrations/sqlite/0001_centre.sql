-- The key centre's state. Times are milliseconds since 1970. Nothing here is a secret: keys are in files
-- beside the database.

-- One-time tokens: `id` is a hash of the secret, which is not kept.
CREATE TABLE tokens (
    id BLOB PRIMARY KEY NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    revoked BIGINT,
    used BIGINT,
    -- Digest of the request it was used with, and the certificate that was the answer.
    request BLOB,
    certificate BLOB
);

-- Parties, by the fingerprint of their TLS key. Nobody ever has a key of somebody else's.
CREATE TABLE parties (
    fingerprint BLOB PRIMARY KEY NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    sign BLOB NOT NULL UNIQUE,
    seal BLOB NOT NULL UNIQUE,
    address TEXT NOT NULL,
    enrolled BIGINT NOT NULL,
    revoked BIGINT
);
CREATE UNIQUE INDEX one_of_a_name ON parties (role, name) WHERE revoked IS NULL;
CREATE UNIQUE INDEX one_of_a_cloud ON parties (role) WHERE revoked IS NULL AND role <> 'owner';

CREATE TABLE certificates (
    serial BLOB PRIMARY KEY NOT NULL,
    party BLOB NOT NULL REFERENCES parties (fingerprint),
    issued BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    revoked BIGINT,
    der BLOB NOT NULL
);
CREATE INDEX certificates_of_party ON certificates (party);

-- The revocation list's number rises with every revocation. One row.
CREATE TABLE revocations (number BIGINT NOT NULL);
INSERT INTO revocations (number) VALUES (1);

CREATE TABLE studies (
    name TEXT PRIMARY KEY NOT NULL,
    id BLOB NOT NULL UNIQUE,
    draft BLOB NOT NULL,
    draft_digest BLOB NOT NULL,
    author TEXT NOT NULL,
    created BIGINT NOT NULL,
    -- Once all have joined.
    frozen BIGINT,
    digest BLOB UNIQUE,
    text BLOB,
    signature BLOB
);

CREATE TABLE members (
    study TEXT NOT NULL REFERENCES studies (name),
    place BIGINT NOT NULL,
    name TEXT NOT NULL,
    -- Once joined: by which keys, with which BCP key (its id, and as it was claimed).
    joined BIGINT,
    fingerprint BLOB,
    key_id BLOB,
    claim BLOB,
    PRIMARY KEY (study, place)
);
CREATE UNIQUE INDEX members_of_a_name ON members (study, name);
CREATE INDEX studies_of_a_member ON members (name);

-- The master key's hand-over: one row from the first time it is asked for.
CREATE TABLE hand_over (
    one BIGINT PRIMARY KEY NOT NULL CHECK (one = 1),
    fingerprint BLOB NOT NULL,
    asked BIGINT NOT NULL,
    -- Of the master key, as C0 will acknowledge it.
    digest BLOB NOT NULL,
    done BIGINT
);

-- Jobs that were attempted: an id belongs to one text for ever.
CREATE TABLE jobs (
    digest BLOB PRIMARY KEY NOT NULL,
    id BLOB NOT NULL UNIQUE,
    study BLOB NOT NULL,
    started BIGINT NOT NULL,
    -- When each cloud said that it has ended.
    ended_c0 BIGINT,
    ended_c1 BIGINT,
    -- When the dealer's secret was destroyed.
    ended BIGINT
);

-- Attempts at them. A cloud's nonce belongs to one attempt for ever.
CREATE TABLE attempts (
    job BLOB NOT NULL REFERENCES jobs (digest),
    nonce_0 BLOB NOT NULL,
    nonce_1 BLOB NOT NULL,
    place BIGINT NOT NULL,
    from_nonces BLOB NOT NULL,
    from_step BIGINT NOT NULL,
    asked_c0 BIGINT,
    asked_c1 BIGINT,
    -- When the dealer began to deal: once, whatever happens.
    dealt BIGINT,
    ended BIGINT,
    outcome TEXT,
    PRIMARY KEY (job, nonce_0, nonce_1)
);
CREATE UNIQUE INDEX a_place_is_one_attempt ON attempts (job, place);
CREATE UNIQUE INDEX a_nonce_of_c0_is_used_once ON attempts (job, nonce_0);
CREATE UNIQUE INDEX a_nonce_of_c1_is_used_once ON attempts (job, nonce_1);

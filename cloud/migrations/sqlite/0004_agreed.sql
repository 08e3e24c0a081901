-- What owners took back: the ends of the approvals, as they signed them. None of these counts, whether
-- it had come by then or comes later.
CREATE TABLE revocations (
    job BLOB NOT NULL REFERENCES jobs (digest),
    owner TEXT NOT NULL,
    ends BLOB NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (job, owner, signature)
);

-- What waits for its time waits while the cloud runs: a clock that is wrong ends nothing. `seconds` is how
-- long this cloud has run in all; `rests` what that was when a job came to rest.
CREATE TABLE ran (
    id BIGINT NOT NULL PRIMARY KEY,
    seconds BIGINT NOT NULL
);
INSERT INTO ran (id, seconds) VALUES (1, 0);
ALTER TABLE jobs ADD COLUMN rests BIGINT;
ALTER TABLE jobs DROP COLUMN over;

-- C1: when C0 was told that a job was over.
ALTER TABLE jobs ADD COLUMN peer_told BIGINT;

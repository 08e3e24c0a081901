-- Approvals: each that was ever given. `ended` says why one counts no more (revoked, replaced); such a
-- one never counts again. `revoked` is the owner's signature that took it back.
CREATE TABLE approvals_given (
    job BLOB NOT NULL REFERENCES jobs (digest),
    owner TEXT NOT NULL,
    signature BLOB NOT NULL,
    expires BIGINT NOT NULL,
    ended TEXT,
    revoked BLOB,
    PRIMARY KEY (job, owner, signature)
);
INSERT INTO approvals_given (job, owner, signature, expires, ended, revoked)
    SELECT job, owner, signature, expires, CASE WHEN revoked IS NULL THEN NULL ELSE 'revoked' END, revoked
    FROM approvals;
DROP TABLE approvals;
ALTER TABLE approvals_given RENAME TO approvals;
CREATE UNIQUE INDEX one_approval_stands ON approvals (job, owner) WHERE ended IS NULL;

-- What a job leaves: when it was over, how far it was tidied away (see tidy.rs), whether the key centre
-- knows.
ALTER TABLE jobs ADD COLUMN over BIGINT;
ALTER TABLE jobs ADD COLUMN tidied TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN centre_told BIGINT;

-- An answer is made of objects in a folder of its own: one that is sent again takes the place of the one
-- before when it is whole.
ALTER TABLE answers ADD COLUMN folder TEXT NOT NULL DEFAULT '';

-- Recipients who have the model.
CREATE TABLE fetched (
    job BLOB NOT NULL REFERENCES jobs (digest),
    recipient TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (job, recipient)
);

-- Of what was withdrawn only its row is left.
DELETE FROM chunks WHERE upload IN (SELECT digest FROM uploads WHERE state = 'withdrawn');

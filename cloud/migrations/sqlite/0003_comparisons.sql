-- What recipients of a released model tell each other of it, sealed. It stays when the model goes.
CREATE TABLE comparisons (
    job BLOB NOT NULL REFERENCES jobs (digest),
    owner TEXT NOT NULL,
    recipient TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (job, owner, recipient)
);

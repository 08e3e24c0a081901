-- What every service's store has: leases, and the audit table.

CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    -- Grows with each acquisition: what was done under an older term is known to be stale.
    term BIGINT NOT NULL,
    -- Milliseconds since 1970. A released lease has expired at 0.
    expires BIGINT NOT NULL
);

CREATE TABLE audit (
    seq BIGINT NOT NULL PRIMARY KEY,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    hash BLOB NOT NULL,
    at BIGINT NOT NULL,
    detail TEXT NOT NULL,
    -- SHA-256 over the link of the row before and all of this row.
    link BLOB NOT NULL
);

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit table is append-only');
END;

CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit table is append-only');
END;

-- Also stops INSERT OR REPLACE, for which SQLite calls no trigger of deletion.
CREATE TRIGGER audit_in_order BEFORE INSERT ON audit
WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit)
BEGIN
    SELECT RAISE(ABORT, 'the audit table is append-only');
END;

#!/usr/bin/env python3
"""Reads an LDB with Python's standard library alone, by the rules of docs/reading.md.

    ldb.py once DIR FAMILY___TABLE      prints the rows
    ldb.py follow DIR FAMILY___TABLE    prints them again after each change, until it is killed
"""

import mmap
import sqlite3
import struct
import sys
import time
from pathlib import Path

# What passes by itself: BUSY, CANTOPEN and PROTOCOL in all their forms, READONLY_RECOVERY and READONLY_CANTINIT.
PASSING_KINDS, PASSING = {5, 14, 15}, {264, 1288}
RETRIES_AT_ONCE, REOPEN_AFTER, GIVE_UP_AFTER = 3, 0.020, 5.0


class Ldb:
    """A connection that follows the agent's switches. One per thread."""

    def __init__(self, directory):
        self.file = Path(directory).absolute() / "current" / "ldb.db"
        with open(Path(directory) / "ctl", "rb") as ctl:
            self.page = mmap.mmap(ctl.fileno(), 4096, access=mmap.ACCESS_READ)
        self.connection, self.opened = None, None

    def ctl(self):
        """(generation, seq, incarnation), without a system call."""
        magic, _, generation, seq, _, incarnation, least = struct.unpack_from("<8s6Q", self.page)
        if magic != b"CTLSTOR1" or least > 1:
            sys.exit("this is no LDB that this program can read")
        return generation, seq, incarnation

    def read(self, work):
        """Runs work(cursor) on one state of the LDB, again after what passes by itself."""
        started, tries = time.monotonic(), 0
        while True:
            try:
                self.follow()
                return self.transaction(work)
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorcode", None) or 0
                passing = code & 0xFF in PASSING_KINDS or code in PASSING
                # The tables of a retired file are gone, and a broken one is replaced: is there a newer one?
                if not passing and self.opened == self.ctl()[0]:
                    raise
                tries, waited = tries + 1, time.monotonic() - started
                if waited > GIVE_UP_AFTER:
                    raise
                if waited > REOPEN_AFTER:
                    self.close()
                if tries > RETRIES_AT_ONCE:
                    time.sleep(min(0.001 * 2 ** (tries - RETRIES_AT_ONCE), 0.05))

    def follow(self):
        """Opens the file that is served now. The word is read first: the file may then be newer, never older."""
        generation = self.ctl()[0]
        if self.connection and self.opened == generation:
            return
        uri = self.file.as_uri() + "?mode=ro&readonly_shm=1"
        fresh = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0.1)
        try:
            fresh.execute("SELECT seq FROM _ldb_seq").fetchone()
        except sqlite3.Error:
            fresh.close()
            # Until the new one has answered, the old one serves.
            if self.connection:
                return
            raise
        self.close()
        self.connection, self.opened = fresh, generation

    def transaction(self, work):
        cursor = self.connection.cursor()
        cursor.execute("BEGIN")
        try:
            return work(cursor)
        finally:
            # Also after an error: a transaction left open holds up the agent.
            if self.connection.in_transaction:
                cursor.execute("ROLLBACK")

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection, self.opened = None, None


def show(value):
    if value is None:
        return "NULL"
    return value.hex() if isinstance(value, bytes) else str(value)


def main(mode, directory, table):
    ldb = Ldb(directory)
    name = '"' + table.replace('"', '""') + '"'

    def state(cursor):
        seq = cursor.execute("SELECT seq FROM _ldb_seq").fetchone()
        return seq[0] if seq else 0, cursor.execute(f"SELECT * FROM {name}").fetchall()

    seen = None
    while True:
        # Before the read: what changes during it is then seen by the next look.
        now = ldb.ctl()
        if now != seen:
            seq, rows = ldb.read(state)
            print(f"seq={seq} generation={ldb.opened} incarnation={now[2]} rows={len(rows)}")
            for row in rows:
                print("\t".join(map(show, row)))
            sys.stdout.flush()
            seen = now
        if mode == "once":
            return
        time.sleep(0.01)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("once", "follow"):
        sys.exit(__doc__)
    main(*sys.argv[1:])

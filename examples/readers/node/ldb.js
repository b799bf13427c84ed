// Reads an LDB with Node's own SQLite (Node 24 or later), by the rules of docs/reading.md.
//
//   npm ci                                       brings Node 24, if yours is older
//   npx node ldb.js once DIR FAMILY___TABLE      prints the rows
//   npx node ldb.js follow DIR FAMILY___TABLE    prints them again after each change, until it is killed

import { openSync, readSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';

// What passes by itself: BUSY, CANTOPEN and PROTOCOL in all their forms, READONLY_RECOVERY and READONLY_CANTINIT.
const PASSING_KINDS = new Set([5, 14, 15]);
const PASSING = new Set([264, 1288]);
const RETRIES_AT_ONCE = 3;
const REOPEN_AFTER = 20;
const GIVE_UP_AFTER = 5000;

const pause = (millis) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis);

/** A connection that follows the agent's switches. One per thread. */
class Ldb {
  #file;
  #ctl;
  #words = new BigUint64Array(7);
  #database;
  opened;

  constructor(directory) {
    this.#file = join(resolve(directory), 'current', 'ldb.db');
    // Node has no mmap: reading the page costs one system call.
    this.#ctl = openSync(join(directory, 'ctl'), 'r');
  }

  ctl() {
    const page = Buffer.from(this.#words.buffer);
    readSync(this.#ctl, page, 0, page.length, 0);
    if (page.toString('latin1', 0, 8) !== 'CTLSTOR1' || page.readBigUInt64LE(48) > 1n) {
      throw new Error('this is no LDB that this program can read');
    }
    const word = (index) => page.readBigUInt64LE(8 * index);
    return { generation: word(2), seq: word(3), incarnation: word(5) };
  }

  /** Runs work(database) on one state of the LDB, again after what passes by itself. */
  read(work) {
    const started = performance.now();
    for (let tries = 1; ; tries += 1) {
      try {
        this.#follow();
        return this.#transaction(work);
      } catch (error) {
        const code = error.errcode ?? 0;
        const passing = PASSING_KINDS.has(code & 0xff) || PASSING.has(code);
        // The tables of a retired file are gone, and a broken one is replaced: is there a newer one?
        if (!passing && this.opened === this.ctl().generation) throw error;
        const waited = performance.now() - started;
        if (waited > GIVE_UP_AFTER) throw error;
        if (waited > REOPEN_AFTER) this.#close();
        if (tries > RETRIES_AT_ONCE) pause(Math.min(2 ** (tries - RETRIES_AT_ONCE), 50));
      }
    }
  }

  /** Opens the file that is served now. The word is read first: the file may then be newer, never older. */
  #follow() {
    const { generation } = this.ctl();
    if (this.#database && this.opened === generation) return;
    const url = pathToFileURL(this.#file);
    url.search = 'mode=ro&readonly_shm=1';
    let fresh;
    try {
      fresh = new DatabaseSync(url, { readOnly: true, timeout: 100 });
      position(fresh);
    } catch (error) {
      fresh?.close();
      // Until the new one has answered, the old one serves.
      if (this.#database) return;
      throw error;
    }
    this.#close();
    [this.#database, this.opened] = [fresh, generation];
  }

  #transaction(work) {
    this.#database.exec('BEGIN');
    try {
      return work(this.#database);
    } finally {
      // Also after an error: a transaction left open holds up the agent.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    }
  }

  #close() {
    this.#database?.close();
    [this.#database, this.opened] = [undefined, undefined];
  }
}

function statement(database, sql) {
  const prepared = database.prepare(sql);
  // Integers have 64 bits.
  prepared.setReadBigInts(true);
  return prepared;
}

const position = (database) => statement(database, 'SELECT seq FROM _ldb_seq').get()?.seq ?? 0n;

function show(value) {
  if (value === null) return 'NULL';
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value);
}

const [mode, directory, table] = process.argv.slice(2);
if (table === undefined || !['once', 'follow'].includes(mode)) {
  console.error('usage: node ldb.js once|follow DIR FAMILY___TABLE');
  process.exit(2);
}
const ldb = new Ldb(directory);
const select = `SELECT * FROM "${table.replaceAll('"', '""')}"`;
let seen = '';
for (;;) {
  // Before the read: what changes during it is then seen by the next look.
  const now = ldb.ctl();
  const words = `${now.generation} ${now.seq} ${now.incarnation}`;
  if (words !== seen) {
    const state = (database) => [position(database), statement(database, select).all()];
    const [seq, rows] = ldb.read(state);
    console.log(`seq=${seq} generation=${ldb.opened} incarnation=${now.incarnation} rows=${rows.length}`);
    for (const row of rows) console.log(Object.values(row).map(show).join('\t'));
    seen = words;
  }
  if (mode === 'once') break;
  pause(10);
}

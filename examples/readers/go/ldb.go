package main

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"modernc.org/sqlite"
)

const (
	retriesAtOnce = 3
	reopenAfter   = 20 * time.Millisecond
	giveUpAfter   = 5 * time.Second
)

// Words is what the agent says in the control page.
type Words struct{ Generation, Seq, Heartbeat, Incarnation uint64 }

// Queryer is the read transaction that Ldb.Read lends.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Ldb is a connection that follows the agent's switches. One per goroutine.
type Ldb struct {
	file   string
	page   []byte
	db     *sql.DB
	opened uint64
}

// Open maps the control page of an agent's directory.
func Open(directory string) (*Ldb, error) {
	ctl, err := os.Open(filepath.Join(directory, "ctl"))
	if err != nil {
		return nil, err
	}
	defer ctl.Close()
	page, err := syscall.Mmap(int(ctl.Fd()), 0, 4096, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	ldb := &Ldb{file: filepath.Join(directory, "current", "ldb.db"), page: page}
	if string(page[:8]) != "CTLSTOR1" || ldb.word(6) > 1 {
		return nil, fmt.Errorf("%s holds no LDB that this program can read", directory)
	}
	return ldb, nil
}

// Words looks at the control page, without a system call.
func (l *Ldb) Words() Words {
	return Words{Generation: l.word(2), Seq: l.word(3), Heartbeat: l.word(4), Incarnation: l.word(5)}
}

func (l *Ldb) word(index int) uint64 {
	// The page is aligned and stays mapped as long as the process lives.
	raw := atomic.LoadUint64((*uint64)(unsafe.Pointer(&l.page[8*index])))
	var bytes [8]byte
	binary.NativeEndian.PutUint64(bytes[:], raw)
	return binary.LittleEndian.Uint64(bytes[:])
}

// Read runs work on one state of the LDB, again after what passes by itself.
func (l *Ldb) Read(ctx context.Context, work func(Queryer) error) error {
	started := time.Now()
	for tries := 1; ; tries++ {
		err := l.follow(ctx)
		if err == nil {
			err = l.transaction(ctx, work)
		}
		// The tables of a retired file are gone, and a broken one is replaced: is there a newer one?
		if err == nil || !passes(err) && l.opened == l.word(2) {
			return err
		}
		waited := time.Since(started)
		if waited > giveUpAfter || ctx.Err() != nil {
			return err
		}
		if waited > reopenAfter {
			l.close()
		}
		if tries > retriesAtOnce {
			time.Sleep(min(time.Millisecond<<min(tries-retriesAtOnce, 6), 50*time.Millisecond))
		}
	}
}

// follow opens the file that is served now. The word is read first: the file may then be newer, never older.
func (l *Ldb) follow(ctx context.Context) error {
	generation := l.word(2)
	if l.db != nil && l.opened == generation {
		return nil
	}
	uri := url.URL{Scheme: "file", Path: l.file, RawQuery: "mode=ro&readonly_shm=1"}
	fresh, err := sql.Open("sqlite", uri.String())
	if err != nil {
		return err
	}
	fresh.SetMaxOpenConns(1)
	if _, err = position(fresh); err != nil {
		fresh.Close()
		// Until the new one has answered, the old one serves.
		if l.db != nil {
			return nil
		}
		return err
	}
	l.close()
	l.db, l.opened = fresh, generation
	return nil
}

func (l *Ldb) transaction(ctx context.Context, work func(Queryer) error) error {
	tx, err := l.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	// Also after an error: a transaction left open holds up the agent.
	defer tx.Rollback()
	return work(tx)
}

func (l *Ldb) close() {
	if l.db != nil {
		l.db.Close()
	}
	l.db, l.opened = nil, 0
}

func position(tx Queryer) (seq int64, err error) {
	err = tx.QueryRowContext(context.Background(), "SELECT seq FROM _ldb_seq").Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return seq, err
}

// passes: BUSY, CANTOPEN and PROTOCOL in all their forms, READONLY_RECOVERY and READONLY_CANTINIT.
func passes(err error) bool {
	var failed *sqlite.Error
	if !errors.As(err, &failed) {
		return false
	}
	switch code := failed.Code(); code & 0xff {
	case 5, 14, 15:
		return true
	default:
		return code == 264 || code == 1288
	}
}

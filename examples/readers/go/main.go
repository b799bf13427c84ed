// Reads an LDB with a SQLite driver in pure Go, by the rules of docs/reading.md.
//
//	ldb once DIR FAMILY___TABLE      prints the rows
//	ldb follow DIR FAMILY___TABLE    prints them again after each change, until it is killed
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 || (os.Args[1] != "once" && os.Args[1] != "follow") {
		log.Fatal("usage: ldb once|follow DIR FAMILY___TABLE")
	}
	directory, err := filepath.Abs(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	ldb, err := Open(directory)
	if err != nil {
		log.Fatal(err)
	}
	var seen Words
	for {
		// Before the read: what changes during it is then seen by the next look.
		now := ldb.Words()
		now.Heartbeat = 0
		if now != seen {
			if err := show(ldb, os.Args[3], now.Incarnation); err != nil {
				log.Fatal(err)
			}
			seen = now
		}
		if os.Args[1] == "once" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func show(ldb *Ldb, table string, incarnation uint64) error {
	var seq int64
	var rows []string
	err := ldb.Read(context.Background(), func(tx Queryer) error {
		var err error
		if seq, err = position(tx); err == nil {
			rows, err = all(tx, table)
		}
		return err
	})
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(out, "seq=%d generation=%d incarnation=%d rows=%d\n", seq, ldb.opened, incarnation, len(rows))
	for _, row := range rows {
		fmt.Fprintln(out, row)
	}
	return out.Flush()
}

func all(tx Queryer, table string) ([]string, error) {
	name := `"` + strings.ReplaceAll(table, `"`, `""`) + `"`
	rows, err := tx.QueryContext(context.Background(), "SELECT * FROM "+name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, places := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		places[i] = &values[i]
	}
	lines := []string{}
	for rows.Next() {
		if err := rows.Scan(places...); err != nil {
			return nil, err
		}
		cells := make([]string, len(values))
		for i, value := range values {
			cells[i] = text(value)
		}
		lines = append(lines, strings.Join(cells, "\t"))
	}
	return lines, rows.Err()
}

func text(value any) string {
	switch value := value.(type) {
	case nil:
		return "NULL"
	case []byte:
		return fmt.Sprintf("%x", value)
	default:
		return fmt.Sprint(value)
	}
}

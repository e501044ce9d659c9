package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
)

// Database has the tables that were created and the rows that were inserted.
type Database struct {
	user, password string

	mu     sync.Mutex
	tables map[string]*Table
	rows   []map[string]any
}

// Table is what CREATE TABLE said, in its order.
type Table struct{ columns []Column }

// Column is one of a table. The default is "" or MATERIALIZED.
type Column struct{ name, kind, deflt string }

var (
	createTable = regexp.MustCompile("(?s)^CREATE TABLE IF NOT EXISTS (\\S+) +\\((.*)\\) ENGINE = MergeTree")
	describe    = regexp.MustCompile(`^DESC(?:RIBE)?(?: TABLE)? (\S+)$`)
	insert      = regexp.MustCompile(`(?s)^INSERT INTO (\S+) \((.*?)\)\s*FORMAT Native$`)
	columnLine  = regexp.MustCompile("(?m)^\\s*`([^`]+)` ((?:\\w+\\([^`]*?\\))|\\w+)(?: (?:COMMENT|CODEC|MATERIALIZED) |,?$)")
)

// answer does what a query says, or refuses it as ClickHouse does.
func (d *Database) answer(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if user != d.user || password != d.password {
		w.Header().Set("X-ClickHouse-Exception-Code", "516")
		http.Error(w, "Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", http.StatusForbidden)
		return
	}
	block, err := d.run(r)
	if err != nil {
		log.Print("refused: ", err)
		w.Header().Set("X-ClickHouse-Exception-Code", "62")
		http.Error(w, "Code: 62. DB::Exception: "+err.Error()+". (SYNTAX_ERROR)", http.StatusBadRequest)
		return
	}
	if _, err := w.Write(block); err != nil {
		log.Print("answering: ", err)
	}
}

func (d *Database) run(r *http.Request) ([]byte, error) {
	body := io.Reader(r.Body)
	query := r.URL.Query().Get("query")
	if query == "" {
		content, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		query, body = string(content), nil
	}
	query = strings.TrimSpace(query)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case query == "SELECT displayName(), version(), revision(), timezone()":
		var display, version, zone proto.ColStr
		display.Append("stand-in")
		version.Append("25.8.1.1")
		zone.Append("UTC")
		return encode(r, proto.Input{
			{Name: "displayName()", Data: &display}, {Name: "version()", Data: &version},
			{Name: "revision()", Data: &proto.ColUInt32{revision}}, {Name: "timezone()", Data: &zone},
		})
	case strings.HasPrefix(query, "CREATE DATABASE IF NOT EXISTS "):
		return nil, nil
	}
	if parts := createTable.FindStringSubmatch(query); parts != nil {
		return nil, d.create(clean(parts[1]), parts[2])
	}
	if parts := describe.FindStringSubmatch(query); parts != nil {
		return d.describe(r, clean(parts[1]))
	}
	if parts := insert.FindStringSubmatch(query); parts != nil && body != nil {
		if r.URL.Query().Get("decompress") == "1" {
			body = compress.NewReader(body)
		}
		return nil, d.insert(clean(parts[1]), strings.Split(parts[2], ","), body)
	}
	return nil, fmt.Errorf("cannot parse query: %q", query)
}

// clean takes the quotes off a table's name.
func clean(name string) string { return strings.NewReplacer("`", "", `"`, "").Replace(name) }

func (d *Database) create(name, definition string) error {
	if _, exists := d.tables[name]; exists {
		return nil
	}
	table := &Table{}
	for line := range strings.Lines(definition) {
		parts := columnLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if parts == nil {
			continue
		}
		column := Column{name: parts[1], kind: parts[2]}
		if strings.Contains(line, " MATERIALIZED ") {
			column.deflt = "MATERIALIZED"
		}
		table.columns = append(table.columns, column)
	}
	if len(table.columns) == 0 {
		return errors.New("a table without columns")
	}
	d.tables[name] = table
	return nil
}

func (d *Database) describe(r *http.Request, name string) ([]byte, error) {
	table, ok := d.tables[name]
	if !ok {
		return nil, fmt.Errorf("table %s does not exist", name)
	}
	var fields [7]proto.ColStr
	for _, column := range table.columns {
		for i, value := range [7]string{column.name, column.kind, column.deflt} {
			fields[i].Append(value)
		}
	}
	var input proto.Input
	for i, field := range []string{"name", "type", "default_type", "default_expression", "comment", "codec_expression", "ttl_expression"} {
		input = append(input, proto.InputColumn{Name: field, Data: &fields[i]})
	}
	return encode(r, input)
}

func (d *Database) giveRows(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	encoder := json.NewEncoder(w)
	for _, row := range d.rows {
		if err := encoder.Encode(row); err != nil {
			log.Print("giving rows: ", err)
			return
		}
	}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
)

// revision of the protocol that this server reports.
const revision = 54460

// encode returns a block as the client asked for it.
func encode(r *http.Request, input proto.Input) ([]byte, error) {
	asked, err := strconv.Atoi(r.URL.Query().Get("client_protocol_version"))
	if err != nil {
		return nil, fmt.Errorf("reading client_protocol_version: %w", err)
	}
	version := min(asked, proto.Version)
	var buffer proto.Buffer
	block := proto.Block{Info: proto.BlockInfo{BucketNum: -1}, Columns: len(input), Rows: input[0].Data.Rows()}
	if err := block.EncodeBlock(&buffer, version, input); err != nil {
		return nil, err
	}
	if r.URL.Query().Get("compress") != "1" {
		return buffer.Buf, nil
	}
	compressor := compress.NewWriter(compress.LevelZero, compress.LZ4)
	if err := compressor.Compress(buffer.Buf); err != nil {
		return nil, err
	}
	return compressor.Data, nil
}

// insert decodes blocks until their end. Columns must be those of the list, in its
// order, and have exactly the types of the table.
func (d *Database) insert(name string, list []string, body io.Reader) error {
	table, ok := d.tables[name]
	if !ok {
		return fmt.Errorf("table %s does not exist", name)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("reading the blocks: %w", err)
	}
	source := bytes.NewReader(content)
	reader := proto.NewReader(source)
	for {
		var results proto.Results
		var block proto.Block
		// An insert by HTTP has no block header: revision 0.
		if err := block.DecodeRawBlock(reader, 0, results.Auto()); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("decoding a block: %w", err)
		}
		if block.End() {
			return nil
		}
		if err := table.check(list, results); err != nil {
			return err
		}
		for i := range block.Rows {
			row, err := readRow(results, i)
			if err != nil {
				return err
			}
			d.rows = append(d.rows, row)
		}
	}
}

func (t *Table) check(list []string, results proto.Results) error {
	if len(list) != len(results) {
		return fmt.Errorf("%d columns in the block, %d in the list", len(results), len(list))
	}
	for i, result := range results {
		if wanted := strings.TrimSpace(clean(list[i])); result.Name != wanted {
			return fmt.Errorf("column %d is %s, the list says %s", i, result.Name, wanted)
		}
		kind := ""
		for _, column := range t.columns {
			if column.name == result.Name {
				kind = column.kind
			}
		}
		if got := string(result.Data.Type()); got != kind {
			return fmt.Errorf("column %s is %s, the table has %q", result.Name, got, kind)
		}
	}
	return nil
}

// readRow returns one row of a block, by column.
func readRow(results proto.Results, i int) (map[string]any, error) {
	row := make(map[string]any)
	for _, result := range results {
		data := result.Data
		if auto, ok := data.(*proto.ColAuto); ok {
			data = auto.Data.(proto.ColResult)
		}
		switch column := data.(type) {
		case interface{ Row(int) string }:
			row[result.Name] = column.Row(i)
		case interface{ Row(int) uint8 }:
			row[result.Name] = column.Row(i)
		case *proto.ColDateTime64:
			row[result.Name] = column.Row(i)
		case interface{ Row(int) map[string]string }:
			row[result.Name] = column.Row(i)
		default:
			return nil, fmt.Errorf("column %s has the type %T, which this server does not know", result.Name, data)
		}
	}
	return row, nil
}

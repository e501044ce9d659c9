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
	if err != nil && !errors.Is(err, io.EOF) { // the decompressor wraps it
		return fmt.Errorf("reading the blocks: %w", err)
	}
	reader := proto.NewReader(bytes.NewReader(content))
	for {
		results, err := table.results(list)
		if err != nil {
			return err
		}
		var block proto.Block
		// An insert by HTTP has no block header: revision 0. A name or a type that
		// is not the expected one is an error.
		if err := block.DecodeRawBlock(reader, 0, results); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("decoding a block: %w", err)
		}
		if block.End() {
			return nil
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

// results are empty columns of the list, with the types of the table.
func (t *Table) results(list []string) (results proto.Results, err error) {
	for _, item := range list {
		name := strings.TrimSpace(clean(item))
		kind := ""
		for _, column := range t.columns {
			if column.name == name && column.deflt == "" {
				kind = column.kind
			}
		}
		var data proto.ColResult
		switch kind {
		case "String":
			data = new(proto.ColStr)
		case "UInt8":
			data = new(proto.ColUInt8)
		case "DateTime64(9)":
			data = new(proto.ColDateTime64).WithPrecision(proto.PrecisionNano)
		case "LowCardinality(String)":
			data = new(proto.ColStr).LowCardinality()
		case "Map(LowCardinality(String), String)":
			data = proto.NewMap[string, string](new(proto.ColStr).LowCardinality(), new(proto.ColStr))
		default:
			return nil, fmt.Errorf("column %s has the type %q, which this server does not know", name, kind)
		}
		results = append(results, proto.ResultColumn{Name: name, Data: data})
	}
	return results, nil
}

// readRow returns one row of a block, by column.
func readRow(results proto.Results, i int) (map[string]any, error) {
	row := make(map[string]any)
	for _, result := range results {
		switch column := result.Data.(type) {
		case interface{ Row(int) string }:
			row[result.Name] = column.Row(i)
		case interface{ Row(int) uint8 }:
			row[result.Name] = column.Row(i)
		case *proto.ColDateTime64:
			row[result.Name] = column.Row(i)
		case interface{ Row(int) map[string]string }:
			row[result.Name] = column.Row(i)
		default:
			return nil, fmt.Errorf("column %s has the type %T, which this server does not know", result.Name, column)
		}
	}
	return row, nil
}

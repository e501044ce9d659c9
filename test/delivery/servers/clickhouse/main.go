// Command clickhouse stands in for ClickHouse in the delivery tests, because no real
// one can be built there. It speaks the HTTP interface in the Native format as far
// as the clickhouse exporter uses it, and refuses what ClickHouse would refuse: a
// wrong password, an unknown table, columns or types that the table does not have,
// blocks that cannot be decoded. GET /rows gives back every row as a line of JSON.
//
//	clickhouse ADDRESS USER PASSWORD
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: clickhouse ADDRESS USER PASSWORD")
	}
	database := &Database{user: os.Args[2], password: os.Args[3], tables: make(map[string]*Table)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Ok.") })
	mux.HandleFunc("GET /rows", database.giveRows)
	mux.HandleFunc("POST /", database.answer)
	server := &http.Server{Addr: os.Args[1], Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

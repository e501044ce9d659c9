// Command kafka is a Kafka broker for the delivery tests: franz-go's kfake, which
// speaks Kafka's protocol and keeps everything in memory. It prints a line for each
// message of the topic, with the words in it that tests look for.
//
//	kafka PORT TOPIC EXPRESSION
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kafka:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 3 {
		return errors.New("usage: kafka PORT TOPIC EXPRESSION")
	}
	words, err := regexp.Compile(arguments[2])
	if err != nil {
		return fmt.Errorf("reading the expression: %w", err)
	}
	port, err := strconv.Atoi(arguments[0])
	if err != nil {
		return fmt.Errorf("reading the port: %w", err)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.SeedTopics(3, arguments[1]))
	if err != nil {
		return fmt.Errorf("starting the broker: %w", err)
	}
	defer cluster.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	reader, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics(arguments[1]))
	if err != nil {
		return fmt.Errorf("reading the topic: %w", err)
	}
	defer reader.Close()
	for ctx.Err() == nil {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			fmt.Printf("message %d %q\n", len(r.Value), words.FindAll(r.Value, -1))
		})
	}
	return nil
}

// Package pipeline wires the stages: records of an [event.Source] in, batches
// of log records out.
//
//	source ─> splitter ─┬─> shard ─┬─> queue ─> deliver
//	                    └─> shard ─┘
//	shard: connections ─> stream ─> http1 ─> transaction ─> policy ─> record
//
// It owns the goroutines, the queues between them, the connections and their
// life, and the counts of [Stats]. It takes batches of records and gives
// [record.Batch] values to a [Deliver] function. It never looks into a
// message, and no stage knows that it exists.
//
// # Back pressure
//
// The shards never wait for the consumer: beyond a bounded queue a batch is
// dropped and its records are counted. The splitter waits for the shards, and
// the source waits for the splitter: when this machine has too little time for
// us, the kernel side refuses records, counts them and marks their
// connections. Memory is bounded everywhere.
//
// # Life of a connection
//
// A connection begins with its open record, or with its first bytes when that
// record was lost. It ends with its close record, as soon as everything before
// that has arrived or cannot arrive any more, and is then given as a
// connection event. What ends otherwise:
//
//   - Beyond Config.Connections the one is given up that was silent for the
//     longest time, marked memory_budget.
//   - After 5 minutes in which nothing moved, open transactions are given,
//     marked idle. The connection stays and is read again from the next
//     message that begins with a call; that first one is marked idle too.
//   - A Unix connection without an open transaction is forgotten after 10
//     minutes: the kernel has no event for its end, only an end of file that
//     somebody must read. A TCP connection is forgotten after one hour, because its
//     close record may have been lost. Should one speak again, it is a
//     connection whose addresses are not known.
//   - At the shutdown everything that is open is given, marked shutdown.
package pipeline

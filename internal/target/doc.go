// Package target says who a process is: executable, owner, container and pod.
//
// It owns a bounded [Table] of process images. It takes the event.Process
// records that the kernel side took in each process's own context, so a
// process that lived for milliseconds is named as well as any other, and
// gives transaction.Process values by key. Where a record was lost it asks
// /proc, and believes the answer only when the start time shows that the PID
// still belongs to the same process. It never guesses: what is not known
// stays empty.
package target

package control

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/control/follow"
	"github.com/fado-project/fado/state"
)

// pendingQueue puts every change of pending rows through one goroutine, in batches, so that
// a burst costs few transactions. Rows become exceptions before they are queued, and a row
// that is on its way into the store keeps its exception whatever is finished before it.
type pendingQueue struct {
	store func() state.Store
	index *follow.Exceptions
	wrote *storeHealth
	ops   chan *pendingOp
	added chan struct{}

	startOnce, stopOnce sync.Once
	quit, done          chan struct{}
}

type pendingOp struct {
	add    []state.Pending
	begun  func() bool // see Pending.Note; may be nil
	gens   []int64     // of what was added, set before the result is
	finish []state.PendingKey
	result chan error
}

// maxBatch bounds the rows of one transaction.
const maxBatch = 4096

func newPendingQueue(s func() state.Store, index *follow.Exceptions, wrote *storeHealth) *pendingQueue {
	return &pendingQueue{
		store: s, index: index, wrote: wrote, ops: make(chan *pendingOp, 256), added: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
}

func (q *pendingQueue) start() { q.startOnce.Do(func() { go q.run() }) }

func (q *pendingQueue) stop() {
	q.stopOnce.Do(func() { close(q.quit) })
	q.startOnce.Do(func() { close(q.done) })
	<-q.done
}

func (q *pendingQueue) wake() {
	select {
	case q.added <- struct{}{}:
	default:
	}
}

// do hands an operation in and waits for its outcome. Once handed in it is carried
// out even if ctx ends meanwhile. Rows to be added are exceptions at once, whatever is
// being written then.
func (q *pendingQueue) do(ctx context.Context, op *pendingOp) error {
	op.result = make(chan error, 1)
	q.index.Adding(op.add) // behind no write of the store, which may hang
	select {
	case q.ops <- op:
	case <-ctx.Done():
		q.index.Added(op.add, ctx.Err())
		return ctx.Err()
	case <-q.quit:
		return ErrClosed
	}
	select {
	case err := <-op.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-q.done:
		select {
		case err := <-op.result:
			return err
		default:
			return ErrClosed
		}
	}
}

func (q *pendingQueue) run() {
	defer close(q.done)
	again := time.Tick(retryLost)
	for {
		select {
		case op := <-q.ops:
			q.round(op)
		case <-again:
			q.addLost()
		case <-q.quit:
			return
		}
	}
}

// retryLost is how often rows are stored again that the store did not take.
const retryLost = 2 * time.Second

// addLost stores rows for exceptions that the store took none for: their adder may
// have given up, and without a row nothing would ever end such an exception.
func (q *pendingQueue) addLost() {
	if rows := q.index.Lost(maxBatch); len(rows) > 0 {
		q.index.Adding(rows)
		q.add([]*pendingOp{{add: rows, result: make(chan error, 1)}})
	}
}

// round carries out one operation and those that wait behind it, in one batch.
func (q *pendingQueue) round(first *pendingOp) {
	batch, rows := []*pendingOp{first}, len(first.add)+len(first.finish)
	for rows < maxBatch {
		select {
		case op := <-q.ops:
			batch = append(batch, op)
			rows += len(op.add) + len(op.finish)
			continue
		default:
		}
		break
	}
	var adds, finishes []*pendingOp
	for _, op := range batch {
		if op.add != nil {
			adds = append(adds, op)
		} else {
			finishes = append(finishes, op)
		}
	}
	q.finish(finishes)
	q.add(adds)
}

func (q *pendingQueue) add(ops []*pendingOp) {
	if len(ops) == 0 {
		return
	}
	var rows []state.Pending
	for _, op := range ops {
		rows = append(rows, op.add...)
	}
	attended := true
	for _, op := range ops {
		attended = op.begun != nil && op.begun() && attended
	}
	gens, err := q.store().Queue().AddPending(context.Background(), rows...)
	err = q.wrote.note(err)
	if err != nil && len(ops) > 1 && !errors.Is(err, state.ErrUnavailable) {
		for _, op := range ops { // one caller's bad row must not fail the others
			op.gens, err = q.store().Queue().AddPending(context.Background(), op.add...)
			q.index.Added(op.add, err)
			op.result <- err
		}
	} else {
		for _, op := range ops {
			if err == nil {
				op.gens, gens = gens[:len(op.add)], gens[len(op.add):]
			}
		}
		q.index.Added(rows, err)
		reply(ops, err)
	}
	if !attended || err != nil {
		q.wake()
	}
}

func (q *pendingQueue) finish(ops []*pendingOp) {
	if len(ops) == 0 {
		return
	}
	var keys []state.PendingKey
	for _, op := range ops {
		keys = append(keys, op.finish...)
	}
	q.index.Finish(keys)
	removed, err := q.store().Queue().FinishPending(context.Background(), keys...)
	err = q.wrote.note(err)
	q.index.Finished(keys, removed)
	reply(ops, err)
	if slices.Contains(removed, false) {
		q.wake()
	}
}

func reply(ops []*pendingOp, err error) {
	for _, op := range ops {
		op.result <- err
	}
}

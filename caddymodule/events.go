package caddymodule

import (
	"context"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
)

// The Caddy events FaDO sends. Their data: cluster and reason for storages; bucket,
// prefix, cluster and reason for copies; bucket and reason for buckets; bucket, from and
// cluster for primaries.
const (
	eventCopySynced  = "fado_copy_synced"
	eventCopyFailed  = "fado_copy_failed"
	eventStorageUp   = "fado_storage_up"
	eventStorageDown = "fado_storage_down"
	eventBucketStuck = "fado_bucket_stuck"
	eventBucketOK    = "fado_bucket_ok"
	eventPrimary     = "fado_primary_moved"
)

const (
	busRoom     = 4096 // events of the bus not handled yet
	emitterRoom = 1024 // Caddy events not sent yet
)

// caddyEvent is an event on its way to Caddy's events app.
type caddyEvent struct {
	name string
	data map[string]any
}

// sentTypes are those of which some events are sent to Caddy.
var sentTypes = []control.EventType{
	control.EventCopy, control.EventStorage, control.EventBucketStuck, control.EventBucketOK, control.EventPrimaryMoved,
}

// toCaddy translates an event of the bus; ok is false for those that Caddy is not told.
func toCaddy(e control.Event) (out caddyEvent, ok bool) {
	switch {
	case e.Elsewhere: // the instance that did it tells its Caddy
		return out, false
	case e.Type == control.EventCopy && e.State == catalog.CopySynced.String():
		out.name = eventCopySynced
	case e.Type == control.EventCopy && e.State == catalog.CopyFailed.String():
		out.name = eventCopyFailed
	case e.Type == control.EventStorage && e.State == routing.StorageUp.String():
		out.name = eventStorageUp
	case e.Type == control.EventStorage && e.State == routing.StorageDown.String():
		out.name = eventStorageDown
	case e.Type == control.EventBucketStuck:
		out.name = eventBucketStuck
	case e.Type == control.EventBucketOK:
		out.name = eventBucketOK
	case e.Type == control.EventPrimaryMoved:
		out.name = eventPrimary
	default:
		return out, false
	}
	out.data = make(map[string]any)
	for field, v := range map[string]string{"bucket": e.Bucket, "prefix": e.Prefix, "cluster": e.Cluster, "from": e.From, "reason": e.Reason} {
		if v != "" {
			out.data[field] = v
		}
	}
	return out, true
}

// emitter hands events from the bus to Caddy's events app, through the configuration
// in force. Handlers run synchronously there and may be slow: no other code waits for
// them, and when too many events pile up, the newest are dropped and counted.
type emitter struct {
	log   *zap.Logger
	queue chan caddyEvent
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu      sync.Mutex
	senders []*App        // the last one sends
	changed chan struct{} // closed when senders changes
}

func newEmitter(bus *control.Bus, log *zap.Logger) *emitter {
	ctx, stop := context.WithCancel(context.Background())
	e := &emitter{log: log, queue: make(chan caddyEvent, emitterRoom), stop: stop, changed: make(chan struct{})}
	sub := bus.Subscribe(busRoom, sentTypes...)
	e.done.Go(func() { defer sub.Close(); e.collect(ctx, sub) })
	e.done.Go(func() { e.send(ctx) })
	return e
}

// close ends the sending; what was not sent yet is dropped. It waits for a handler
// that runs, whose context ends with its configuration.
func (e *emitter) close() {
	e.stop()
	e.done.Wait()
}

// sendBy makes a configuration, all of whose apps have started, the one to send through.
func (e *emitter) sendBy(app *App) {
	e.change(func() { e.senders = append(e.senders, app) })
}

// stopSendingBy takes that back; the one before sends again.
func (e *emitter) stopSendingBy(app *App) {
	e.change(func() {
		e.senders = slices.DeleteFunc(e.senders, func(other *App) bool { return other == app })
	})
}

func (e *emitter) change(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
	close(e.changed)
	e.changed = make(chan struct{})
}

// sender returns the configuration to send through, nil while there is none, and a
// channel that closes when that changes.
func (e *emitter) sender() (*App, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.senders) == 0 {
		return nil, e.changed
	}
	return e.senders[len(e.senders)-1], e.changed
}

// collect takes events off the bus as fast as they come.
func (e *emitter) collect(ctx context.Context, sub *control.Subscription) {
	for {
		select {
		case <-ctx.Done():
			return
		case ev := <-sub.C:
			dropped := sub.Missed()
			if ev.Type == control.EventPrimaryMoved && !ev.Elsewhere {
				counters.moves.WithLabelValues(ev.Cluster).Inc()
			}
			if out, ok := toCaddy(ev); ok && !e.enqueue(out) {
				dropped++
			}
			if dropped > 0 {
				e.log.Warn("handlers of Caddy events are too slow; dropped the newest events", zap.Int("dropped", dropped))
			}
		}
	}
}

func (e *emitter) enqueue(ev caddyEvent) bool {
	select {
	case e.queue <- ev:
		return true
	default:
		return false
	}
}

// send emits one event after the other.
func (e *emitter) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case ev := <-e.queue:
			if app := e.waitForSender(ctx); app != nil {
				app.events.Emit(app.ctx, ev.name, ev.data)
			}
		}
	}
}

// waitForSender returns nil when ctx ends first.
func (e *emitter) waitForSender(ctx context.Context) *App {
	for {
		app, changed := e.sender()
		if app != nil {
			return app
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

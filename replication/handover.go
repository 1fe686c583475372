package replication

import (
	"context"
	"sync"

	"github.com/fado-project/fado/state"
)

// handover lets other instances help with a walk: objects that this one has no slot for
// now become background rows, which any instance claims. The walk goes on past them, since
// a durable row says that they are not there yet.
type handover struct {
	mu   sync.Mutex
	keys []string // handed over, the oldest first
}

// handedPer bounds, per other instance, the rows of a walk that are not worked off yet:
// enough to keep everybody busy, few enough that routing and the store hardly notice.
const handedPer = 512

// room says whether a key may be handed over now.
func (h *handover) room(most int, pending func(key string) bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.keys) > 0 && !pending(h.keys[0]) {
		h.keys = h.keys[1:]
	}
	return len(h.keys) < most
}

func (h *handover) note(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys = append(h.keys, key)
}

// hand gives an object to whoever has time for it, if other instances are there and this
// one has its hands full.
func (b *bulk) hand(ctx context.Context, p pair, what want) bool {
	others := int(b.board.company.Load())
	if others == 0 || b.anywhere || p.src == nil || p.src.Size > storageShare || b.slots.free(what) {
		return false
	}
	isPending := func(key string) bool { return b.ctl.Router().Pending.Has(b.id.bucket, key, b.id.cluster) }
	if isPending(p.key) || !b.handed.room(handedPer*others, isPending) {
		return false
	}
	row := state.Pending{
		Bucket: b.id.bucket, Key: p.key, Cluster: b.id.cluster, Size: p.src.Size, Since: b.now(), Background: true,
	}
	done := b.track.begin(p.key, 1, p.src.Size)
	b.wg.Add(1)
	go func() { // many at a time share a transaction
		defer b.wg.Done()
		if err := b.ctl.AddPending(ctx, row); err != nil {
			b.abort(err)
			return
		}
		b.handed.note(row.Key)
		done()
	}()
	return true
}

// storageShare bounds the objects that are handed over: whoever copies a larger one is
// limited by the storages, not by the number of requests.
const storageShare = 1 << 30

// free says whether a slot could be had at once.
func (s *slots) free(what want) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiters) == 0 && s.eligible(what)
}

// countedBy says whether a walk or scan that found an object has counted it: then its copy
// does not change the size of the copy as a whole.
func countedBy(row state.Pending) bool { return row.Background }

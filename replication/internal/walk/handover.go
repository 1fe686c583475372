package walk

import "sync"

// handover lets other instances help with a walk: objects that this one has no slot for
// now become background rows, which any instance claims. The walk continues past them, since
// a durable row says that they are not there yet.
type handover struct {
	mu   sync.Mutex
	keys []string // handed over, the oldest first
}

const (
	// handedPer bounds, per other instance, the rows of a walk that are not worked off yet:
	// enough to keep everybody busy, few enough that routing and the store hardly notice.
	handedPer = 512
	// handedSize bounds the objects that are handed over: who copies a larger one is limited
	// by the storages, not by the number of requests.
	handedSize = 1 << 30
)

// room reports whether a key may be handed over now.
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

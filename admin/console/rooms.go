package console

import "sync"

const (
	maxStreams    = 256
	maxStreamsPer = 8 // of one session
)

// rooms counts the streams.
type rooms struct {
	mu  sync.Mutex
	all int
	per map[string]int
}

func newRooms() *rooms { return &rooms{per: make(map[string]int)} }

func (r *rooms) enter(who string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all >= maxStreams || r.per[who] >= maxStreamsPer {
		return false
	}
	r.all++
	r.per[who]++
	return true
}

func (r *rooms) leave(who string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all--
	if r.per[who]--; r.per[who] == 0 {
		delete(r.per, who)
	}
}

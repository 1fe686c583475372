package report

import (
	"slices"
	"sync"
	"time"
)

const (
	// busy is how many bytes a second moves at least that says something of a link.
	busy = 1 << 20
	// linkSeconds is how many busy seconds a link's rate is taken of, at least linkEnough.
	linkSeconds = 60
	linkEnough  = 5
)

// Links tells how fast objects were copied between clusters lately.
type Links struct {
	now func() time.Time

	mu    sync.Mutex
	links map[[2]string]*linkMeter
}

// linkMeter counts the bytes of the present second, and keeps those of the last busy ones.
type linkMeter struct {
	at, bytes int64
	seconds   []int64 // ring
	next      int
}

// moved counts bytes on their way from one cluster to another.
func (l *Links) moved(from, to string, n int64) {
	at := l.now().Unix()
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.links[[2]string{from, to}]
	if m == nil {
		m = &linkMeter{at: at}
		l.links[[2]string{from, to}] = m
	}
	m.turn(at)
	m.bytes += n
}

// turn ends a second that is over.
func (m *linkMeter) turn(at int64) {
	if m.at == at {
		return
	}
	if m.bytes >= busy {
		if len(m.seconds) < linkSeconds {
			m.seconds = append(m.seconds, m.bytes)
		} else {
			m.seconds[m.next] = m.bytes
			m.next = (m.next + 1) % linkSeconds
		}
	}
	m.at, m.bytes = at, 0
}

// Rate returns the bytes per second that moved between two clusters when much did: the mean
// of the better half of the last busy seconds, 0 if there were too few.
func (l *Links) Rate(from, to string) float64 {
	at := l.now().Unix()
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.links[[2]string{from, to}]
	if m == nil {
		return 0
	}
	m.turn(at)
	if len(m.seconds) < linkEnough {
		return 0
	}
	best := slices.Sorted(slices.Values(m.seconds))[len(m.seconds)/2:]
	var sum float64
	for _, n := range best {
		sum += float64(n)
	}
	return sum / float64(len(best))
}

package events

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/control"
)

// MaxStreams bounds the event streams answered at a time.
const MaxStreams = 1000

// Streams is what the streams share: room for so many of them, and each event's
// JSON, which is made once.
type Streams struct {
	// Heartbeat is how often a comment keeps a silent stream alive through proxies.
	Heartbeat time.Duration

	room   chan struct{}
	encode func(any) ([]byte, error)

	mu      sync.Mutex
	encoded map[control.Event][]byte
	order   [eventRoom]control.Event // of encoded, as a ring
	next    int
}

// NewStreams returns room for so many streams.
func NewStreams(most int) *Streams {
	return &Streams{
		Heartbeat: heartbeat, room: make(chan struct{}, most), encode: json.Marshal,
		encoded: make(map[control.Event][]byte),
	}
}

// enter takes a place among the streams; leave gives it back.
func (s *Streams) enter() error {
	select {
	case s.room <- struct{}{}:
		return nil
	default:
		return request.Unavailable("%d clients watch events already, as many as may: try again when one has left", cap(s.room))
	}
}

func (s *Streams) leave() { <-s.room }

// json returns an event's JSON, the same bytes for every stream that is less than
// eventRoom events behind.
func (s *Streams) json(e control.Event) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if data, ok := s.encoded[e]; ok {
		return data, nil
	}
	data, err := s.encode(Event(e))
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	delete(s.encoded, s.order[s.next])
	s.order[s.next] = e
	s.next = (s.next + 1) % len(s.order)
	s.encoded[e] = data
	return data, nil
}

const (
	heartbeat = 15 * time.Second
	// eventRoom is how many events a watcher may lag behind before it misses some.
	eventRoom = 1024
	// eventWrite bounds one write to a watcher that does not read.
	eventWrite = 30 * time.Second
)

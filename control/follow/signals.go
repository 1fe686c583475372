package follow

import (
	"strings"
	"sync"
)

// Signals wake those who wait for something about a bucket. The zero value is ready.
type Signals struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

// Changed returns a channel that closes at the next change of a bucket. It is taken
// before what is waited for is looked at, so that no change is missed:
//
//	for changed := s.Changed(b); !done(); changed = s.Changed(b) {
//		<-changed
//	}
//
// One that is no longer waited for costs a map entry until the bucket changes.
func (s *Signals) Changed(bucket string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.waiting[bucket]; c != nil {
		return c
	}
	if s.waiting == nil {
		s.waiting = make(map[string]chan struct{})
	}
	c := make(chan struct{})
	s.waiting[strings.Clone(bucket)] = c
	return c
}

// Fire wakes those who wait for a bucket.
func (s *Signals) Fire(bucket string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.waiting[bucket]; c != nil {
		close(c)
		delete(s.waiting, bucket)
	}
}

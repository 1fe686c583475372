package pull

import (
	"sync"
	"time"

	"github.com/fado-project/fado/replication/internal/ids"
)

// inProgress is the pull of one object to one cluster, shared by all callers that wait.
type inProgress struct {
	began time.Time
	slow  bool          // outlasted what a caller waits
	done  chan struct{} // closed at the end
	err   error         // valid then
}

// marks are the objects that are being pulled, or removed, by this instance.
type marks struct {
	mu       sync.Mutex
	pulls    map[ids.Object]*inProgress
	removing map[ids.Object]bool
}

func newMarks() *marks {
	return &marks{pulls: make(map[ids.Object]*inProgress), removing: make(map[ids.Object]bool)}
}

// busy reports whether an object is being pulled or removed.
func (m *marks) busy(ref ids.Object) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pulls[ref] != nil || m.removing[ref]
}

// remove marks objects as being removed, and returns those that were not.
func (m *marks) remove(refs []ids.Object) (mine []ids.Object) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ref := range refs {
		if !m.removing[ref] {
			m.removing[ref] = true
			mine = append(mine, ref)
		}
	}
	return mine
}

// removed takes the marks of remove away.
func (m *marks) removed(refs []ids.Object) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ref := range refs {
		delete(m.removing, ref)
	}
}

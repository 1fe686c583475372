package replication

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/memory"
)

// sources keeps whether the physical buckets of primaries are there. Scans and workers ask the
// storages at the same time and report in any order, so each answer carries when it was asked
// for: one that was asked for before the bucket was found is not believed any more. It costs
// nothing to ignore it where the bucket went just then: its object is still pending, and the
// next attempt asks again.
type sources struct {
	issues *control.Issues
	asked  atomic.Int64

	mu    sync.Mutex
	found *memory.Memory[string, int64] // the question count when a bucket was last found
}

// sourcesKept bounds the buckets that are remembered as found. An answer that is older than
// what was forgotten stands until the next scan.
const sourcesKept = 50_000

func newSources(i *control.Issues) *sources {
	return &sources{issues: i, found: memory.New[string, int64](sourcesKept, 0, time.Now)}
}

// ask returns the number of a question that is about to be asked.
func (s *sources) ask() int64 { return s.asked.Add(1) }

// isThere notes that a bucket was found.
func (s *sources) isThere(bucket string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found.Note(bucket, s.asked.Add(1))
	s.issues.Set(bucket, control.Source{Finder: control.FinderSource}, control.Issue{})
}

// isMissing notes the answer to a question: why a bucket can't be compared with anything.
func (s *sources) isMissing(bucket string, question int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.found.Get(bucket); ok && question < found {
		return
	}
	issue := control.Issue{Reason: err.Error()}
	if errors.Is(err, guard.ErrElsewhere) {
		issue.Code = control.ReasonStopped
	}
	s.issues.Set(bucket, control.Source{Finder: control.FinderSource}, issue)
}

package testenv

import (
	"context"
	"sync"
	"testing"
)

// Shared is a server that the tests of a package share, each with buckets of its own. The
// first test that asks for it starts it, and [Main] ends it.
type Shared func() (*Server, error)

var sharedServers struct {
	sync.Mutex
	started []*Server
}

// Share returns a server to be shared. It is not started yet.
func Share(kind Kind, o Options) Shared {
	return sync.OnceValues(func() (*Server, error) {
		s, err := Start(context.Background(), kind, o)
		if err == nil {
			sharedServers.Lock()
			sharedServers.started = append(sharedServers.started, s)
			sharedServers.Unlock()
		}
		return s, err
	})
}

// Server returns the running server. Without the binary the test is skipped; see [MinIO].
func (s Shared) Server(tb testing.TB) *Server {
	tb.Helper()
	srv, err := s()
	skipWithoutBinary(tb, err)
	return srv
}

func closeShared() {
	sharedServers.Lock()
	defer sharedServers.Unlock()
	for _, s := range sharedServers.started {
		s.Close()
	}
	sharedServers.started = nil
}

package fakestorage

import (
	"context"
	"time"

	"github.com/fado-project/fado/storage"
)

// server answers what is asked of the storage as a whole.
type server struct{ f *shelf }

func (s server) Name() string { return s.f.name }

func (s server) Ping(ctx context.Context) error { return s.f.before(ctx, "ping", "", "") }

func (s server) Capabilities() (storage.Capabilities, bool) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return storage.Capabilities{ConditionalDelete: !s.f.plainDelete}, true
}

func (s server) Probe(ctx context.Context, _ string) (storage.Capabilities, error) {
	s.f.mu.Lock()
	caps := s.f.caps
	s.f.mu.Unlock()
	return caps, s.f.before(ctx, "probe", "", "")
}

func (s server) Now(ctx context.Context) (time.Time, error) {
	if err := s.f.before(ctx, "now", "", ""); err != nil {
		return time.Time{}, err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return s.f.tick(), nil
}

func (s server) KeepsTimes(context.Context) (bool, error) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return s.f.keepsTimes, nil
}

func (s server) Births(ctx context.Context) (map[string]time.Time, error) {
	if err := s.f.before(ctx, "births", "", ""); err != nil {
		return nil, err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.f.births == nil {
		s.f.births = make(map[string]time.Time)
	}
	births := make(map[string]time.Time)
	for b := range s.f.buckets {
		if s.f.births[b].IsZero() {
			s.f.births[b] = s.f.tick()
		}
		births[b] = s.f.births[b]
	}
	return births, nil
}

func (s server) Listen(ctx context.Context, ready func(), tell func(storage.Event)) error {
	if err := s.f.before(ctx, "listen", "", ""); err != nil {
		return err
	}
	return s.f.events.listen(ctx, ready, tell)
}

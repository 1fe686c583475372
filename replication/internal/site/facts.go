package site

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/fado-project/fado/storage"
)

// facts remembers what was found out about buckets at their storages. It is a memory:
// what is forgotten is found out again.
type facts struct {
	mu        sync.Mutex
	versioned map[bucketAt]bool
	wanted    chan bucketAt // to be found out
}

type bucketAt struct {
	bucket string
	site   *Site
}

// maxFacts bounds what is remembered.
const maxFacts = 100_000

func newFacts() *facts {
	return &facts{versioned: make(map[bucketAt]bool), wanted: make(chan bucketAt, 64)}
}

func (f *facts) note(at bucketAt, versioned bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.versioned) >= maxFacts {
		clear(f.versioned)
	}
	f.versioned[at] = versioned
}

// isVersioned reports whether a bucket is known to be versioned; what is not known is asked
// for.
func (f *facts) isVersioned(at bucketAt) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	versioned, known := f.versioned[at]
	if !known {
		select {
		case f.wanted <- at:
		default: // it is asked for again
		}
	}
	return versioned
}

// Losses says in sentences what a bucket's copy can't keep of its primary's objects:
// "tags are not kept in c3". What is not known yet is not in it; it is asked for.
func (ss *Sites) Losses(bucket, primary, cluster string) []string {
	sentences := []string{}
	src, dst := ss.Known(primary), ss.Known(cluster)
	if src == nil || dst == nil || primary == cluster {
		return sentences
	}
	from, ok1 := src.capabilities()
	to, ok2 := dst.capabilities()
	if !ok1 || !ok2 {
		return sentences
	}
	versioned := ss.facts.isVersioned(bucketAt{bucket, src})
	for _, what := range storage.Losses(from, to, versioned) {
		sentences = append(sentences, fmt.Sprintf("%s are not kept in %s", what, cluster))
	}
	return sentences
}

// FindFacts asks storages what [Sites.Losses] did not know about their buckets, until ctx
// ends.
func (ss *Sites) FindFacts(ctx context.Context) {
	for {
		select {
		case at := <-ss.facts.wanted:
			findOut(ctx, ss, at)
		case <-ctx.Done():
			return
		}
	}
}

func findOut(ctx context.Context, ss *Sites, at bucketAt) {
	ctx, cancel := at.site.Call(ctx)
	defer cancel()
	if versioned, err := at.site.reader.Versioned(ctx, at.bucket); err == nil {
		ss.facts.note(at, versioned)
	}
}

func (s *Site) capabilities() (storage.Capabilities, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.caps, s.probed
}

// Learn notes whether a bucket was found to be versioned, and has the storage probed once
// more with a bucket to ask about.
func (s *Site) Learn(ctx context.Context, bucket string, versioned, isPrimary bool) {
	probeIn(ctx, s, bucket)
	if isPrimary {
		s.of.facts.note(bucketAt{bucket, s}, versioned)
	}
}

// probeIn asks a storage once more what it offers, now that there is a bucket to ask about.
func probeIn(ctx context.Context, s *Site, bucket string) {
	s.mu.Lock()
	done := s.probedIn || !s.probed
	s.probedIn = s.probedIn || s.probed
	s.mu.Unlock()
	if done {
		return
	}
	pctx, cancel := s.Call(ctx)
	defer cancel()
	caps, err := s.client.Probe(pctx, bucket)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.probedIn = false
		if ctx.Err() == nil && !errors.Is(err, storage.ErrNoBucket) {
			s.of.o.Log.Debug("could not probe a storage with a bucket; trying again with the next one", zap.String("cluster", s.name), zap.Error(err))
		}
		return
	}
	s.caps = caps
}

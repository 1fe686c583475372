package replication

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/fado-project/fado/storage"
)

// bucketFacts remembers what was found out about buckets at their storages.
type bucketFacts struct {
	mu        sync.Mutex
	versioned map[bucketAt]bool
	wanted    chan bucketAt // to be found out
}

type bucketAt struct {
	bucket string
	site   *site
}

// maxFacts bounds what is remembered; what is forgotten is found out again.
const maxFacts = 100_000

func newBucketFacts() *bucketFacts {
	return &bucketFacts{versioned: make(map[bucketAt]bool), wanted: make(chan bucketAt, 64)}
}

func (f *bucketFacts) note(at bucketAt, versioned bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.versioned) >= maxFacts {
		clear(f.versioned)
	}
	f.versioned[at] = versioned
}

// isVersioned says whether a bucket is known to be versioned; what is not known is asked
// for.
func (f *bucketFacts) isVersioned(at bucketAt) bool {
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
func (e *Engine) Losses(bucket, primary, cluster string) []string {
	sentences := []string{}
	src, dst := e.sites.known(primary), e.sites.known(cluster)
	if src == nil || dst == nil || primary == cluster {
		return sentences
	}
	from, ok1 := src.capabilities()
	to, ok2 := dst.capabilities()
	if !ok1 || !ok2 {
		return sentences
	}
	versioned := e.facts.isVersioned(bucketAt{bucket, src})
	for _, what := range storage.Losses(from, to, versioned) {
		sentences = append(sentences, fmt.Sprintf("%s are not kept in %s", what, cluster))
	}
	return sentences
}

// findFacts asks storages what somebody wanted to know about their buckets.
func (r *run) findFacts(ctx context.Context) {
	for {
		select {
		case at := <-r.facts.wanted:
			r.findOut(ctx, at)
		case <-ctx.Done():
			return
		}
	}
}

func (r *run) findOut(ctx context.Context, at bucketAt) {
	ctx, cancel := context.WithTimeout(ctx, r.tune.CallTimeout)
	defer cancel()
	if versioned, err := at.site.client.Versioned(ctx, at.bucket); err == nil {
		r.facts.note(at, versioned)
	}
}

// known returns the site of a cluster if there is one already.
func (ss *sites) known(cluster string) *site {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.byName[cluster]
}

func (s *site) capabilities() (storage.Capabilities, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.caps, s.probed
}

// probeIn asks a storage once more what it offers, now that there is a bucket to ask about.
func (r *run) probeIn(ctx context.Context, s *site, bucket string) {
	s.mu.Lock()
	done := s.probedIn || !s.probed
	s.probedIn = s.probedIn || s.probed
	s.mu.Unlock()
	if done {
		return
	}
	pctx, cancel := context.WithTimeout(ctx, r.tune.CallTimeout)
	defer cancel()
	caps, err := s.client.Probe(pctx, bucket)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.probedIn = false
		if ctx.Err() == nil && !errors.Is(err, storage.ErrNoBucket) {
			r.log.Debug("probing a storage", zap.String("cluster", s.name), zap.Error(err))
		}
		return
	}
	s.caps = caps
}

package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/fado-project/fado/storage"
)

// Facts remembers what was found out about buckets at their storages. It is a memory:
// what is forgotten is found out again.
type Facts struct {
	o     *Options
	known func(cluster string) *Site // nil: there is none

	mu        sync.Mutex
	versioned map[bucketAt]bool
	settings  map[bucketAt]storage.Settings
	lost      map[lossAt][]string // what objects had that their copies have not
	wanted    chan bucketAt       // to be found out
}

type bucketAt struct {
	bucket string
	site   *Site
}

type lossAt struct{ bucket, cluster string }

// maxFacts bounds what is remembered.
const maxFacts = 100_000

func newFacts(o *Options, known func(string) *Site) *Facts {
	return &Facts{
		o: o, known: known,
		versioned: make(map[bucketAt]bool), settings: make(map[bucketAt]storage.Settings), lost: make(map[lossAt][]string),
		wanted: make(chan bucketAt, 64),
	}
}

func (f *Facts) note(at bucketAt, versioned bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.versioned) >= maxFacts {
		clear(f.versioned)
	}
	f.versioned[at] = versioned
	delete(f.settings, at) // they are asked for again
}

// about returns what is known of a bucket; what is not known is asked for.
func (f *Facts) about(at bucketAt) (versioned bool, s storage.Settings, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	versioned, ok := f.versioned[at]
	s, known = f.settings[at]
	if !ok || !known {
		select {
		case f.wanted <- at:
		default: // it is asked for again
		}
	}
	return versioned, s, known
}

// NoteLoss notes that an object has something that its copy in a cluster has not, as the
// subject of "... are not kept". It is remembered while this process runs.
func (f *Facts) NoteLoss(bucket, cluster, what string) {
	at := lossAt{bucket, cluster}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lost) >= maxFacts {
		clear(f.lost)
	}
	if !slices.Contains(f.lost[at], what) {
		f.lost[at] = append(f.lost[at], what)
	}
}

// noted returns what objects of a bucket lost in a cluster.
func (f *Facts) noted(at lossAt) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.lost[at])
}

// Losses says in sentences what a bucket's copy can't keep of its primary's objects:
// "tags are not kept in c3". What is not known yet is not in it; it is asked for.
func (f *Facts) Losses(bucket, primary, cluster string) []string {
	sentences := []string{}
	src, dst := f.known(primary), f.known(cluster)
	if src == nil || dst == nil || primary == cluster {
		return sentences
	}
	from, ok1 := src.capabilities()
	to, ok2 := dst.capabilities()
	if !ok1 || !ok2 {
		return sentences
	}
	versioned, had, ok1 := f.about(bucketAt{bucket, src})
	losses := storage.Losses(from, to, versioned)
	if _, has, ok2 := f.about(bucketAt{bucket, dst}); ok1 && ok2 {
		losses = append(losses, had.Losses(has, from.PreserveVersion && to.PreserveVersion)...)
	}
	for _, what := range append(losses, f.noted(lossAt{bucket, cluster})...) {
		if s := fmt.Sprintf("%s are not kept in %s", what, cluster); !slices.Contains(sentences, s) {
			sentences = append(sentences, s)
		}
	}
	return sentences
}

// Find asks storages what [Facts.Losses] did not know about their buckets, until ctx
// ends.
func (f *Facts) Find(ctx context.Context) {
	for {
		select {
		case at := <-f.wanted:
			f.findOut(ctx, at)
		case <-ctx.Done():
			return
		}
	}
}

func (f *Facts) findOut(ctx context.Context, at bucketAt) {
	ctx, cancel := at.site.Call(ctx)
	defer cancel()
	f.mu.Lock()
	_, known := f.versioned[at]
	f.mu.Unlock()
	if !known {
		if versioned, err := storage.Versioned(ctx, at.site.reader, at.bucket); err == nil {
			f.note(at, versioned)
		}
	}
	if s, err := at.site.reader.Settings(ctx, at.bucket); err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.settings) >= maxFacts {
			clear(f.settings)
		}
		f.settings[at] = s
	}
}

// Learn notes whether a bucket at a storage was found to be versioned, and has the storage probed once
// more with a bucket to ask about.
func (f *Facts) Learn(ctx context.Context, s *Site, bucket string, versioned, isPrimary bool) {
	f.probeIn(ctx, s, bucket)
	if isPrimary {
		f.note(bucketAt{bucket, s}, versioned)
	}
}

// probeIn asks a storage once more what it offers, now that there is a bucket to ask about.
func (f *Facts) probeIn(ctx context.Context, s *Site, bucket string) {
	s.mu.Lock()
	done := s.probedIn || !s.probed
	s.probedIn = s.probedIn || s.probed
	s.mu.Unlock()
	if done {
		return
	}
	pctx, cancel := s.Call(ctx)
	defer cancel()
	caps, err := s.reader.Probe(pctx, bucket)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.probedIn = false
		if ctx.Err() == nil && !errors.Is(err, storage.ErrNoBucket) {
			f.o.Log.Debug("could not probe a storage with a bucket; trying again with the next one", zap.String("cluster", s.name), zap.Error(err))
		}
		return
	}
	s.caps = caps
}

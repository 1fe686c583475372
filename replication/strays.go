package replication

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/storage"
)

// FormerPrimary is a cluster that a bucket was written in before its primary moved, while it
// is watched for writers that were not told.
type FormerPrimary struct {
	Cluster string
	// Since is when the primary moved, Until when the watch ends.
	Since, Until time.Time
	// Strays are the objects written there since, as far as they were counted, with the keys
	// of some. While the cluster has a copy of the bucket they are conflicts, and not counted
	// here.
	Strays int64
	Keys   []string
}

// Bounds of the watch over former primaries.
const (
	formerFor  = 7 * 24 * time.Hour
	straysMost = 10_000 // that are counted
	strayKeys  = 5      // that are named
	strayPage  = 1000
)

// formers watches the former primaries of buckets. What is known is a report in the store, so
// that it outlasts this instance: nothing is decided by it.
type formers struct {
	core

	mu       sync.Mutex
	byBucket map[string][]formerPrimary
}

// formerPrimary is a FormerPrimary as it is stored.
type formerPrimary struct {
	Bucket  string    `json:"bucket"`
	Cluster string    `json:"cluster"`
	Address int64     `json:"address"` // of the storage that it was
	Since   time.Time `json:"since"`
	Clock   time.Time `json:"clock"` // the same by the storage
	Strays  int64     `json:"strays"`
	Keys    []string  `json:"keys"`
}

const formerReports = "former-primary/"

func (f *formerPrimary) report() string { return formerReports + f.Bucket + "/" + f.Cluster }

// FormerPrimaries tells where a bucket was written before, while that is watched.
func (r *Reports) FormerPrimaries(bucket string) []FormerPrimary {
	r.e.formers.mu.Lock()
	defer r.e.formers.mu.Unlock()
	var all []FormerPrimary
	primary := r.e.core.snap().Of(bucket).Primary()
	for _, f := range r.e.formers.byBucket[bucket] {
		if f.Cluster == primary {
			continue
		}
		all = append(all, FormerPrimary{Cluster: f.Cluster, Since: f.Since, Until: f.Since.Add(formerFor), Strays: f.Strays, Keys: slices.Clone(f.Keys)})
	}
	return all
}

// note has a cluster watched that is about to be a bucket's former primary, at a time of its
// storage's clock.
func (w *formers) note(ctx context.Context, bucket, cluster string, clock time.Time) error {
	cl := w.snap().Cluster(cluster)
	if cl == nil || cl.Storage == nil {
		return nil
	}
	f := formerPrimary{Bucket: bucket, Cluster: cluster, Address: cl.Storage.Address(), Since: w.now().UTC(), Clock: clock}
	if err := w.put(ctx, &f); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	all := slices.DeleteFunc(w.byBucket[bucket], func(o formerPrimary) bool { return o.Cluster == cluster })
	w.byBucket[bucket] = append(all, f)
	return nil
}

func (w *formers) put(ctx context.Context, f *formerPrimary) error {
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return w.ctl.Store().Reports().PutReport(ctx, f.report(), string(body))
}

// watch looks at former primaries until ctx ends.
func (w *formers) watch(ctx context.Context, owns func(bucket string) bool) {
	for ctx.Err() == nil {
		w.stored(ctx, "could not read which former primaries are watched; trying again later", w.round(ctx, owns))
		delay.Sleep(ctx, delay.Jitter(w.tune.StrayEvery))
	}
}

// round looks at all of them once.
func (w *formers) round(ctx context.Context, owns func(bucket string) bool) error {
	reports, err := w.ctl.Store().Reports().ListReports(ctx, formerReports)
	if err != nil {
		return err
	}
	now := make(map[string][]formerPrimary)
	for _, r := range reports {
		var f formerPrimary
		if err := json.Unmarshal([]byte(r.Body), &f); err != nil || w.over(&f) {
			w.stored(ctx, "could not end the watch over a former primary; trying again later", w.ctl.Store().Reports().DeleteReport(ctx, r.Name))
			continue
		}
		if owns(f.Bucket) {
			w.look(ctx, &f)
		}
		now[f.Bucket] = append(now[f.Bucket], f)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byBucket = now
	return ctx.Err()
}

// over reports whether there is nothing to watch for any more.
func (w *formers) over(f *formerPrimary) bool {
	snap := w.snap()
	cl := snap.Cluster(f.Cluster)
	return w.now().Sub(f.Since) > formerFor || snap.Bucket(f.Bucket) == nil ||
		snap.Of(f.Bucket).Primary() == f.Cluster && w.now().Sub(f.Since) > time.Hour || // it is noted before the move
		cl == nil || cl.Storage == nil || cl.Storage.Address() != f.Address
}

// look counts what was written at a former primary since.
func (w *formers) look(ctx context.Context, f *formerPrimary) {
	was := f.Strays
	f.Strays, f.Keys = 0, nil
	isCopy := slices.ContainsFunc(w.snap().Of(f.Bucket).Copies(), func(c catalog.Copy) bool { return c.Cluster == f.Cluster })
	if !isCopy {
		if err := w.count(ctx, f); err != nil {
			f.Strays = was // it is looked at again
			return
		}
	}
	if f.Strays == was {
		return
	}
	w.stored(ctx, "could not store what was found at a former primary; the next look does", w.put(ctx, f))
	if f.Strays > was {
		w.log.Warn("objects are written where a bucket's primary was: no copy gets them; point the writers at the new primary, and write them again there",
			zap.String("bucket", f.Bucket), zap.String("cluster", f.Cluster), zap.String("primary", w.snap().Of(f.Bucket).Primary()), zap.Int64("objects", f.Strays))
	}
}

func (w *formers) count(ctx context.Context, f *formerPrimary) error {
	s, err := w.sites.Usable(f.Cluster)
	if err != nil {
		return err
	}
	for after := ""; f.Strays < straysMost; {
		objs, _, next, err := s.Reader().Page(ctx, f.Bucket, "", "", after, strayPage)
		if errors.Is(err, storage.ErrNoBucket) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, o := range objs {
			if o.LastModified.Before(f.Clock) {
				continue
			}
			if f.Strays++; len(f.Keys) < strayKeys {
				f.Keys = append(f.Keys, strings.Clone(o.Key))
			}
		}
		if next == "" {
			break
		}
		after = next
	}
	return nil
}

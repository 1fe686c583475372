package s3gateway

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
)

// reader is a call that asks storages.
type reader struct{ *call }

// reads makes a reader of the call of an operation.
func reads(run func(reader) error) func(*call) error {
	return func(c *call) error { return run(reader{c}) }
}

// fidelity says how much of an object's identity a read relies on.
type fidelity uint8

const (
	// content: any current copy will do; answers are translated.
	content fidelity = iota
	// preferSame: copies that show ETags, versions and times as the primary does come first.
	preferSame
	// onlySame: the request names an ETag, a time or a part.
	onlySame
	// history: the request is about versions. Copies follow removals of single versions at
	// their scans, so the primary comes first, and others answer only while it is away.
	history
)

// patience is how long a read waits for a copy to become current where none is, which only
// happens where several places are written.
const patience = 5 * time.Second

// lookAgain is how often a read that waits looks again without being told to: a gap in what a
// feed told ends without a word.
const lookAgain = 50 * time.Millisecond

// readers returns the clusters to read an input from, best first.
func (c reader) readers(in routing.Input, f fidelity) ([]routing.Holder, error) {
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	for {
		changed := c.control.Pending.Changed(in.Bucket)
		holders, known := c.router().Holders(nil, in)
		if !known {
			return nil, s3err.NoSuchBucket(in.Bucket)
		}
		if f >= onlySame {
			holders = slices.DeleteFunc(holders, func(h routing.Holder) bool { return !c.same(in.Bucket, &h) })
		}
		if len(holders) > 0 {
			c.order(holders, in.Bucket, f)
			return holders, nil
		}
		select {
		case <-changed:
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return nil, s3err.SlowDown(errNoCopy, "No current copy can be read now. Please retry.")
		}
	}
}

var errNoCopy = errors.New("no cluster holds the current version")

// order sorts holders: this endpoint's cluster, then those of its zones, then the quickest; what
// is down comes last.
func (c reader) order(holders []routing.Holder, bucket string, f fidelity) {
	var zones []string
	if own := c.router().Snapshot().Cluster(c.h.Cluster); own != nil {
		zones = own.Zones
	}
	rank := func(h *routing.Holder) int {
		r := 0
		switch {
		case h.Cluster == c.h.Cluster:
		case len(zones) > 0 && len(h.Zones) > 0 && h.Zones[0] == zones[0]:
			r = 1
		case slices.ContainsFunc(h.Zones, func(z string) bool { return slices.Contains(zones, z) }):
			r = 2
		default:
			r = 3
		}
		if f == preferSame && !c.same(bucket, h) || f == history && !h.Primary {
			r += 4
		}
		if h.Storage == routing.StorageDown {
			r += 8
		}
		return r
	}
	slices.SortStableFunc(holders, func(a, b routing.Holder) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)),
			cmp.Compare(c.h.latency.Of(a.Cluster), c.h.latency.Of(b.Cluster)), cmp.Compare(a.Cluster, b.Cluster))
	})
}

// same reports whether a holder shows ETags, version IDs and times as the bucket's primary does.
func (c reader) same(bucket string, h *routing.Holder) bool {
	if h.Primary {
		return true
	}
	here, ok := c.gateway.Capabilities(h.Cluster)
	there, also := c.gateway.Capabilities(c.router().Snapshot().Of(bucket).Primary())
	return ok && also && here.PreserveVersion && there.PreserveVersion
}

// writer returns the cluster that the call's key is written in: the primary, or under writes
// anywhere the nearest that holds the current version.
func (c reader) writePlace(key string) (string, error) {
	snap := c.router().Snapshot()
	primary := snap.Of(c.bucket).Primary()
	if primary == "" {
		return "", s3err.SlowDown(errNoPrimary, "The bucket has no primary yet. Please retry.")
	}
	if !snap.Of(c.bucket).WritesAnywhere(key) {
		return primary, nil
	}
	holders, err := c.readers(routing.Input{Bucket: c.bucket, Key: key, Scope: routing.ScopeObject}, content)
	if err != nil {
		return "", err
	}
	for _, h := range holders {
		if snap.Of(c.bucket).Writer(key, h.Cluster) && h.Storage != routing.StorageDown {
			return h.Cluster, nil
		}
	}
	return primary, nil
}

var errNoPrimary = errors.New("no primary")

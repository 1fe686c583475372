package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Resolving conflicts: people say which cluster's object stays, and the others follow. An
// object that loses is only written over where its storage keeps it as a noncurrent
// version, or where people say that it may go. Every write is conditional on what was seen
// there when the resolution began, so that what changed since is not destroyed: it is a
// conflict again. People decided about the buckets that were compared: where another one lies in the
// place of one of them, the key is refused, see [object.Identified].

// WinnerNewest lets the object that was modified last win; the primary's where two were
// modified at the same time.
const WinnerNewest = "newest"

// Resolution is the outcome of a Verdict.
type Resolution struct {
	// Resolved counts the keys that are no longer in conflict.
	Resolved int
	// Refused lists keys that stay in conflict, at most 1000 of them.
	Refused []Refusal
	// RefusedTotal counts all of them.
	RefusedTotal int
}

// Refusal is a key that stays in conflict, and why.
type Refusal struct {
	Key    string
	Reason string
	// Lossy: all that stands in the way is that an object would be lost for good. A
	// Verdict with Discard gives it up.
	Lossy bool
}

// lossError refuses a key because objects would be lost for good; each reason names one.
type lossError struct{ reasons []string }

// Error implements error.
func (e *lossError) Error() string { return strings.Join(e.reasons, "; ") }

// Verdict is an operator's decision about conflicts.
type Verdict struct {
	Key     string // "": every conflict of the bucket
	Winner  string // a cluster, or WinnerNewest
	Discard bool   // objects that lose may go for good
}

// ErrBadWinner says that a winner is neither "newest" nor a cluster of the bucket.
var ErrBadWinner = errors.New(`the winner: expected "newest" or a cluster that has a copy of the bucket`)

const (
	resolveBatch   = 512 // rows read at a time
	resolveAtATime = 8
	maxRefused     = 1000 // listed
)

// resolve settles conflicts of a bucket as an operator decided. A key that can't be
// settled is refused and left unchanged; the others are settled. control.ErrNotFound: there
// is no such bucket, or no conflict about the key.
func resolve(ctx context.Context, o *Options, bucket string, v Verdict) (Resolution, error) {
	res := Resolution{Refused: []Refusal{}}
	snap := o.Router.Snapshot()
	if snap.Bucket(bucket) == nil {
		return res, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	if err := o.Hooks.Running(); err != nil {
		return res, err
	}
	if !slices.ContainsFunc(snap.Of(bucket).Copies(), func(c catalog.Copy) bool { return c.Cluster == v.Winner }) && v.Winner != WinnerNewest {
		return res, fmt.Errorf("%q: %w", v.Winner, ErrBadWinner)
	}
	r := &resolver{o: o, bucket: bucket, verdict: v, res: &res, versions: make(map[string]versionsKept)}
	err := r.all(ctx)
	if err == nil && v.Key != "" && res.Resolved+res.RefusedTotal == 0 {
		err = fmt.Errorf("bucket %s has no conflict about %q: %w", bucket, v.Key, control.ErrNotFound)
	}
	if res.Resolved > 0 {
		o.Hooks.RequestScan(bucket) // counts are those of a scan
	}
	o.Control.WakeWorkers()
	return res, err
}

// resolver settles the conflicts of one bucket.
type resolver struct {
	o       *Options
	bucket  string
	verdict Verdict

	mu       sync.Mutex
	res      *Resolution
	versions map[string]versionsKept // by cluster
}

// all goes through the conflicts, several keys at a time.
func (r *resolver) all(ctx context.Context) error {
	if r.verdict.Key != "" {
		return r.key(ctx)
	}
	hold := state.HoldConflict
	filter := state.PendingFilter{Bucket: r.bucket, Hold: &hold}
	after := state.PendingKey{}
	for {
		rows, err := r.o.Control.Store().Queue().ListPending(ctx, filter, after, resolveBatch)
		if err != nil {
			return err
		}
		groups := byKey(rows)
		full := len(rows) == resolveBatch
		if full && len(groups) > 1 {
			groups = groups[:len(groups)-1] // its rows continue in the next batch
		}
		r.batch(ctx, groups)
		if ctx.Err() != nil || !full {
			return ctx.Err()
		}
		last := groups[len(groups)-1]
		after = last[len(last)-1].RowKey()
	}
}

// key settles the conflict about one key. A row that knows of an object that is not FaDO's is a conflict also
// while a change or a scan has it tried again: people decided about what they saw.
func (r *resolver) key(ctx context.Context) error {
	of := state.PendingFilter{Bucket: r.bucket}
	rows, err := r.o.Control.Store().Queue().ListPending(ctx, of, state.PendingKey{Bucket: r.bucket, Key: r.verdict.Key}, resolveBatch)
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(row state.Pending) bool {
		return row.Key != r.verdict.Key || row.Foreign == "" && row.Hold != state.HoldConflict
	})
	r.batch(ctx, byKey(rows))
	return ctx.Err()
}

// byKey groups rows, which come in order, by their keys.
func byKey(rows []state.Pending) (groups [][]state.Pending) {
	for _, row := range rows {
		if n := len(groups); n > 0 && groups[n-1][0].Key == row.Key {
			groups[n-1] = append(groups[n-1], row)
			continue
		}
		groups = append(groups, []state.Pending{row})
	}
	return groups
}

func (r *resolver) batch(ctx context.Context, groups [][]state.Pending) {
	var g errgroup.Group
	g.SetLimit(resolveAtATime)
	for _, rows := range groups {
		g.Go(func() error {
			r.note(rows[0].Key, r.one(ctx, rows))
			return nil
		})
	}
	_ = g.Wait() // refusals are noted
}

func (r *resolver) note(key string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.res.Resolved++
		return
	}
	r.res.RefusedTotal++
	if len(r.res.Refused) < maxRefused {
		var loss *lossError
		r.res.Refused = append(r.res.Refused, Refusal{Key: key, Reason: err.Error(), Lossy: errors.As(err, &loss)})
		slices.SortFunc(r.res.Refused, func(a, b Refusal) int { return strings.Compare(a.Key, b.Key) })
	}
}

// conflict is one key in conflict: its objects at the primary and at the copies concerned.
type conflict struct {
	key     string
	primary *candidate
	copies  []*candidate
}

// candidate is one cluster's object of a key that people decide about.
type candidate struct {
	site *site.Site
	row  state.Pending // none for the primary
	obj  *storage.Object
}

// one settles the conflict about one key.
func (r *resolver) one(ctx context.Context, rows []state.Pending) error {
	unlock, err := r.lockKey(ctx, rows)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := r.look(ctx, rows)
	if err != nil {
		return err
	}
	winner, err := r.winnerOf(c)
	if err != nil {
		return err
	}
	if err := r.mayLose(ctx, c, winner); err != nil {
		return err
	}
	if winner != c.primary {
		if err := r.toPrimary(ctx, c, winner); err != nil {
			return err
		}
	}
	for _, cp := range c.copies {
		if err := r.toCopy(ctx, c, cp); err != nil {
			return fmt.Errorf("%s: %w", cp.site.Name(), err)
		}
	}
	return nil
}

// lockKey takes the key's locks in every cluster concerned.
func (r *resolver) lockKey(ctx context.Context, rows []state.Pending) (unlock func(), err error) {
	clusters := []string{r.o.Router.Snapshot().Of(r.bucket).Primary()}
	for _, row := range rows {
		clusters = append(clusters, row.Cluster)
	}
	return r.o.lockKey(ctx, r.bucket, rows[0].Key, clusters)
}

// lockKey takes a key's locks in clusters, in one order for all who take several.
func (o *Options) lockKey(ctx context.Context, bucket, key string, clusters []string) (unlock func(), err error) {
	var unlocks []func()
	unlock = func() {
		for _, u := range unlocks {
			u()
		}
	}
	slices.Sort(clusters)
	for _, c := range slices.Compact(clusters) {
		u, err := o.Guard.Lock(ctx, ids.ObjectIn(bucket, key, c))
		if err != nil {
			unlock()
			return nil, err
		}
		unlocks = append(unlocks, u)
	}
	return unlock, nil
}

// look asks the storages concerned what they hold now.
func (r *resolver) look(ctx context.Context, rows []state.Pending) (*conflict, error) {
	c := &conflict{key: rows[0].Key}
	primary := r.o.Router.Snapshot().Of(r.bucket).Primary()
	copies, err := r.o.Copies.Of(ctx, r.bucket)
	if err != nil {
		return nil, err
	}
	if copyrows.CarryingOver(copies) || primary == "" {
		return nil, guard.ErrMoving
	}
	if c.primary, err = r.candidate(ctx, primary, c.key); err != nil {
		return nil, err
	}
	sites := []*site.Site{c.primary.site}
	for _, row := range rows {
		if row.Cluster == primary {
			continue
		}
		cp, err := r.candidate(ctx, row.Cluster, c.key)
		if err != nil {
			return nil, err
		}
		cp.row = row
		c.copies, sites = append(c.copies, cp), append(sites, cp.site)
	}
	return c, object.Identified(ctx, r.o.Control.Store(), r.bucket, sites...)
}

func (r *resolver) candidate(ctx context.Context, cluster, key string) (*candidate, error) {
	c, err := r.o.candidate(ctx, r.bucket, cluster, key)
	if err == nil && c.obj != nil && r.verdict.Winner == WinnerNewest {
		c.exactly(ctx, r.bucket)
	}
	return c, err
}

// candidate asks a storage what it holds under a key; that it holds nothing is confirmed by its listing.
func (o *Options) candidate(ctx context.Context, bucket, cluster, key string) (*candidate, error) {
	s, err := o.Sites.Usable(cluster)
	if err != nil {
		return nil, err
	}
	obj, err := s.Stat(ctx, bucket, key)
	if err == nil && obj == nil {
		err = s.Absent(ctx, bucket, key) // the key would count as settled, and what is there as FaDO's
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", cluster, err)
	}
	return &candidate{site: s, obj: obj}, nil
}

// exactly makes the time of a candidate's object exact, which a HEAD tells in whole seconds: which
// object is the newest is decided by it.
func (c *candidate) exactly(ctx context.Context, bucket string) {
	cctx, cancel := c.site.Call(ctx)
	defer cancel()
	objs, _, _, err := c.site.Reader().Page(cctx, bucket, c.obj.Key, "", "", 1)
	if err == nil && len(objs) == 1 && objs[0].Key == c.obj.Key && objs[0].ETag == c.obj.ETag {
		c.obj.LastModified = objs[0].LastModified
	}
}

// winnerOf says whose object stays.
func (r *resolver) winnerOf(c *conflict) (*candidate, error) {
	switch w := r.verdict.Winner; w {
	case c.primary.site.Name():
		return c.primary, nil
	case WinnerNewest:
		best := c.primary
		for _, cp := range c.copies {
			if cp.obj != nil && (best.obj == nil || object.Modified(*cp.obj).After(object.Modified(*best.obj))) {
				best = cp
			}
		}
		return best, nil
	default:
		i := slices.IndexFunc(c.copies, func(cp *candidate) bool { return cp.site.Name() == w })
		if i < 0 {
			return nil, fmt.Errorf("the conflict is not about %s's object: name the primary %s or one of the clusters listed", w, c.primary.site.Name())
		}
		if c.copies[i].obj == nil {
			return nil, fmt.Errorf("%s has the object no more: nothing there can win", w)
		}
		return c.copies[i], nil
	}
}

// mayLose refuses the key if an object would be lost that people did not give up.
func (r *resolver) mayLose(ctx context.Context, c *conflict, winner *candidate) error {
	if r.verdict.Discard {
		return nil
	}
	var reasons []string
	for _, cp := range append([]*candidate{c.primary}, c.copies...) {
		if cp == winner || cp.obj == nil || sameContent(winner.obj, cp.obj) {
			continue
		}
		kept, err := r.keepsVersions(ctx, cp.site, c.key)
		if err != nil {
			return err
		}
		if why := kept.why(cp.site.Name()); why != "" {
			reasons = append(reasons, why)
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return &lossError{reasons}
}

func sameContent(a, b *storage.Object) bool {
	return a != nil && b != nil && storage.Compare(*a, *b) == storage.Equal
}

// versionsKept says whether a bucket keeps what is written over.
type versionsKept uint8

const (
	versionsOn versionsKept = iota
	versionsOff
	versionsUnsupported
	versionsNotOfKey
)

func (k versionsKept) why(cluster string) string {
	switch k {
	case versionsOff:
		return "the object in " + cluster + " would be lost: versioning is supported there, but switched off for this bucket; switch it on"
	case versionsUnsupported:
		return "the object in " + cluster + " would be lost: the storage keeps no versions"
	case versionsNotOfKey:
		return "the object in " + cluster + " would be lost: storages keep no versions of keys that end in /"
	default:
		return ""
	}
}

// keepsVersions asks a storage whether a key that is written over stays as a version.
func (r *resolver) keepsVersions(ctx context.Context, s *site.Site, key string) (versionsKept, error) {
	if strings.HasSuffix(key, "/") {
		return versionsNotOfKey, nil
	}
	r.mu.Lock()
	kept, known := r.versions[s.Name()]
	r.mu.Unlock()
	if known {
		return kept, nil
	}
	cctx, cancel := s.Call(ctx)
	defer cancel()
	on, err := storage.Versioned(cctx, s.Reader(), r.bucket)
	if err != nil && !errors.Is(err, storage.ErrUnsupported) {
		return versionsOff, fmt.Errorf("asking %s whether it keeps versions: %w", s.Name(), err)
	}
	caps, _ := s.Reader().Capabilities()
	switch {
	case on:
		kept = versionsOn
	case err == nil && caps.Versioning:
		kept = versionsOff
	default:
		kept = versionsUnsupported
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions[s.Name()] = kept
	return kept, nil
}

// toPrimary takes a copy's object to the primary, over what is there. The clusters that are not in
// conflict don't have the winner's object.
func (r *resolver) toPrimary(ctx context.Context, c *conflict, winner *candidate) error {
	if !sameContent(winner.obj, c.primary.obj) {
		var settled []string
		for _, cp := range c.copies {
			settled = append(settled, cp.site.Name())
		}
		at := ids.ObjectIn(r.bucket, c.key, c.primary.site.Name())
		err := r.o.Objects.Writes.Unheard(ctx, at, winner.obj.Size, settled, func() error {
			return errors.Join(r.write(ctx, c.key, winner, c.primary), r.o.staysPut(ctx, r.bucket, at.Cluster))
		})
		if err != nil {
			return fmt.Errorf("bringing it to the primary %s: %w", c.primary.site.Name(), err)
		}
	}
	o, err := c.primary.site.Stat(ctx, r.bucket, c.key)
	if err == nil && o == nil {
		err = storage.ErrPrecondition
	}
	if err != nil {
		return fmt.Errorf("asking the primary %s: %w", c.primary.site.Name(), err)
	}
	c.primary.obj = o
	return nil
}

// toCopy brings one copy in step with the primary as it is now, even over a foreign object
// there. An equal object without FaDO's mark is written once more, so that FaDO may replace
// it from now on.
func (r *resolver) toCopy(ctx context.Context, c *conflict, cp *candidate) error {
	var err error
	switch {
	case c.primary.obj == nil && cp.obj != nil:
		err = r.remove(ctx, c.key, cp)
	case c.primary.obj != nil && (cp.obj == nil || !cp.obj.Replica || !sameContent(c.primary.obj, cp.obj)):
		err = r.write(ctx, c.key, c.primary, cp)
	}
	if err != nil {
		return err
	}
	return r.o.Control.FinishPending(ctx, cp.row.RowKey())
}

// write copies one candidate's object over another's, if both are still what was seen.
func (r *resolver) write(ctx context.Context, key string, from, to *candidate) error {
	release, err := r.o.Slots.Acquire(ctx, limit.Want{Class: limit.Live, To: to.site.Name()})
	if err != nil {
		return err
	}
	defer release()
	cond := storage.Condition{Absent: true}
	if to.obj != nil {
		cond = storage.Condition{IfETag: to.obj.ETag}
	}
	op := guard.Op{Object: ids.ObjectIn(r.bucket, key, to.site.Name()), From: from.site.Name(), Total: from.obj.Size}
	return r.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
		n, err := r.o.Objects.Writes.Transfer(ctx, p, object.Sides{Src: from.site, Dst: to.site}, *from.obj, storage.CopyOptions{If: cond})
		if err == nil {
			r.o.Report.Copied(op.Object, from.site.Name(), n)
		}
		return err
	})
}

// remove takes a copy's object away that the primary does not have, if it is still what was
// seen.
func (r *resolver) remove(ctx context.Context, key string, cp *candidate) error {
	op := guard.Op{Object: ids.ObjectIn(r.bucket, key, cp.site.Name()), Total: -1}
	return r.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
		if err := r.o.Objects.Writes.Delete(ctx, p, cp.site, *cp.obj); err != nil {
			return err
		}
		r.o.Report.Removed(op.Object)
		return nil
	})
}

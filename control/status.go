package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/reason"
	"github.com/fado-project/fado/control/internal/since"
	"github.com/fado-project/fado/placement"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Status tells where buckets are, and how this instance is with the store. It changes
// nothing.
type Status struct {
	c       *core
	issues  *Issues
	usage   *Usage
	missing func() error // why there is no store yet
	losses  atomic.Pointer[Losses]
	since   since.Memory // of what nothing else dates
}

// Losses says, in sentences, what a bucket's copy in a cluster can't keep of its primary's
// objects.
type Losses func(bucket, primary, cluster string) []string

// ExplainLosses sets what tells the losses of copies.
func (s *Status) ExplainLosses(f Losses) { s.losses.Store(&f) }

// Bucket tells where a bucket is, and why it is not where it should be; ErrNotFound for an
// unknown bucket.
func (s *Status) Bucket(ctx context.Context, bucket string) (BucketStatus, error) {
	snap := s.c.router.Snapshot()
	rules := snap.Of(bucket).Rules()
	if rules == nil {
		return BucketStatus{}, fmt.Errorf("bucket %s: %w", bucket, ErrNotFound)
	}
	rows, err := s.c.store().Catalogue().CopiesOf(ctx, bucket)
	if err != nil {
		return BucketStatus{}, err
	}
	logs, err := s.c.store().Queue().Backlogs(ctx, bucket)
	if err != nil {
		return BucketStatus{}, err
	}
	return s.sum(s.solver(snap), bucket, rules, rows, logs), nil
}

// sum tells a bucket's status from what was read of it.
func (s *Status) sum(by *solver, bucket string, rules []catalog.PrefixRule, rows []state.Copy, logs []state.Backlog) BucketStatus {
	snap := by.snap
	st := BucketStatus{Primary: snap.Of(bucket).Primary(), Copies: copyStatuses(snap, rows, logs), Prefixes: prefixStatuses(rules, rows)}
	for _, l := range logs {
		st.Conflicts += l.Conflicts
	}
	stuck := s.issues.of(bucket)
	var told []string
	for _, i := range stuck {
		told = append(told, i.Short...)
	}
	solve := by.of(bucket, rows)
	awaited := ""
	for _, r := range rules {
		placed := solve(r)
		awaited = cmp.Or(awaited, s.usage.unplanned(r, placed.Chosen, rows))
		switch short := placed.Short; {
		case short == "" || slices.Contains(told, short):
		case by.unasked: // it may be over in a moment
			awaited = short
		default:
			stuck, told = append(stuck, Issue{Reason: short, Code: ReasonTooFew}), append(told, short)
		}
	}
	s.explainLosses(bucket, st)
	st.Promotion = promotionOf(snap.Bucket(bucket), st)
	st.State, st.Reasons = judge(snap, st, found(stuck), logs)
	if st.State == BucketOK && awaited != "" {
		st.State, st.Reasons = BucketSyncing, found([]Issue{{Reason: awaited}})
	}
	s.date(bucket, st.Reasons)
	st.Reason = reason.Texts(st.Reasons)
	return st
}

// date tells of reasons that nothing else dates since when this instance has seen them.
func (s *Status) date(bucket string, reasons []Reason) {
	var keys []since.Key
	for _, r := range reasons {
		if r.Since.IsZero() {
			keys = append(keys, since.Key{What: string(r.Code), Cluster: r.Cluster})
		}
	}
	times := s.since.Found(bucket, s.c.now(), keys...)
	for i := range reasons {
		if reasons[i].Since.IsZero() {
			reasons[i].Since, times = times[0], times[1:]
		}
	}
}

// explainLosses fills the copies' losses in.
func (s *Status) explainLosses(bucket string, st BucketStatus) {
	f := s.losses.Load()
	if f == nil {
		return
	}
	for i := range st.Copies {
		if st.Copies[i].Role == "copy" {
			st.Copies[i].Losses = (*f)(bucket, st.Primary, st.Copies[i].Cluster)
		}
	}
}

// batchedFrom is the share of all buckets (one in so many) from which on reading
// everything once is cheaper than asking for each bucket.
const batchedFrom = 4

// Buckets tells the status of many buckets at the cost of few reads of the store; unknown
// buckets are left out.
func (s *Status) Buckets(ctx context.Context, buckets ...string) (map[string]BucketStatus, error) {
	all := make(map[string]BucketStatus, len(buckets))
	snap := s.c.router.Snapshot()
	if len(buckets) == 0 {
		return all, nil
	}
	read := s.readSome
	if len(buckets)*batchedFrom >= snap.Len(catalog.KindBucket) {
		read = s.readMany
	}
	rows, logs, err := read(ctx, buckets)
	if err != nil {
		return nil, err
	}
	by := s.solver(snap)
	for _, b := range buckets {
		if rules := snap.Of(b).Rules(); rules != nil {
			all[b] = s.sum(by, b, rules, rows[b], logs[b])
		}
	}
	return all, nil
}

// readSome reads the copies and backlogs of some buckets by their names.
func (s *Status) readSome(ctx context.Context, buckets []string) (map[string][]state.Copy, map[string][]state.Backlog, error) {
	copies, err := s.c.store().Catalogue().CopiesOf(ctx, buckets...)
	if err != nil {
		return nil, nil, err
	}
	sums, err := s.c.store().Queue().Backlogs(ctx, buckets...)
	rows, logs := make(map[string][]state.Copy, len(buckets)), make(map[string][]state.Backlog)
	for _, cp := range copies {
		rows[cp.Bucket] = append(rows[cp.Bucket], cp)
	}
	for _, l := range sums {
		logs[l.Bucket] = append(logs[l.Bucket], l)
	}
	return rows, logs, err
}

// readMany reads the copies and backlogs of some buckets in one pass each.
func (s *Status) readMany(ctx context.Context, buckets []string) (map[string][]state.Copy, map[string][]state.Backlog, error) {
	rows, logs := make(map[string][]state.Copy, len(buckets)), make(map[string][]state.Backlog)
	for _, b := range buckets {
		rows[b] = nil
	}
	err := s.c.store().Catalogue().EachCopy(ctx, func(cp state.Copy) error {
		if have, wanted := rows[cp.Bucket]; wanted {
			rows[cp.Bucket] = append(have, cp)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	sums, err := s.c.store().Queue().Backlogs(ctx, "")
	for _, l := range sums {
		if _, wanted := rows[l.Bucket]; wanted {
			logs[l.Bucket] = append(logs[l.Bucket], l)
		}
	}
	return rows, logs, err
}

// Placement solves one rule of a bucket as the planner would now: the rule that
// covers the prefix. ErrNotFound for an unknown bucket.
func (s *Status) Placement(ctx context.Context, bucket, prefix string) (catalog.PrefixRule, placement.Result, error) {
	snap := s.c.router.Snapshot()
	rule, ok := snap.Of(bucket).RuleOf(prefix)
	if !ok {
		return rule, placement.Result{}, fmt.Errorf("bucket %s: %w", bucket, ErrNotFound)
	}
	rows, err := s.c.store().Catalogue().CopiesOf(ctx, bucket)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return rule, placement.Result{}, err
	}
	return rule, s.solver(snap).of(bucket, rows)(rule), nil
}

// solver places the rules of buckets by a snapshot. unasked says that storages are left out that
// may just not have been asked yet.
type solver struct {
	snap    *routing.Snapshot
	place   *placement.Solver
	unasked bool
}

func (s *Status) solver(snap *routing.Snapshot) *solver {
	silent, notYet := s.usage.Silent(snap)
	return &solver{snap, placement.NewSolver(snap, s.usage.All()).Exclude(silent), len(notYet) > 0}
}

// of returns what places a bucket's rules by the copies given: what all rules have in common is
// looked up once, because a bucket may have a thousand.
func (by *solver) of(bucket string, rows []state.Copy) (solve func(catalog.PrefixRule) placement.Result) {
	held := make(map[string]*placement.RuleInput)
	for _, r := range rows {
		if held[r.Prefix] == nil {
			held[r.Prefix] = new(placement.RuleInput)
		}
		held[r.Prefix].Note(r.Copy)
	}
	primary, stays := by.snap.Of(bucket).Primary(), primaryStays(by.snap, bucket)
	return func(rule catalog.PrefixRule) placement.Result {
		in := new(placement.RuleInput)
		if h := held[rule.Prefix]; h != nil {
			*in = *h
		}
		in.Bucket, in.Prefix, in.Policy, in.Primary, in.PrimaryDeclared = bucket, rule.Prefix, rule.Policy, primary, stays
		p, known := by.place.Place(in)
		if !known {
			p.Short = "policy " + rule.Policy + " does not exist"
		}
		return p
	}
}

// primaryStays says whether only people move a bucket's primary: the bucket names it, or its
// policy says so.
func primaryStays(snap *routing.Snapshot, bucket string) bool {
	b := snap.Bucket(bucket)
	if b == nil || b.Primary != "" {
		return b != nil
	}
	rule, _ := snap.Of(bucket).RuleOf("")
	p := snap.Policy(rule.Policy)
	return p != nil && p.Primary == catalog.PrimaryFixed
}

// InTrouble are the buckets that are in one of the states which need people: how many, and
// one of them with its reason.
type InTrouble struct {
	Buckets        int
	Bucket, Reason string
}

// Troubles returns which buckets are stuck, and which are in conflict and not stuck, by what
// finders noted and by what is pending. Storages that are down are not among the reasons. With
// the store gone it tells what memory knows.
func (s *Status) Troubles(ctx context.Context) (stuck, conflict InTrouble) {
	why, conflicts := make(map[string]string), make(map[string]int64)
	if logs, err := s.c.store().Queue().Backlogs(ctx, ""); err == nil {
		snap := s.c.router.Snapshot()
		for _, l := range logs {
			if r := stuckBy(snap, l); len(r) > 0 && why[l.Bucket] == "" {
				why[l.Bucket] = r[0].Text
			}
			if l.Conflicts > 0 {
				conflicts[l.Bucket] += l.Conflicts
			}
		}
	}
	for b := range s.issues.buckets() {
		why[b] = ""
	}
	maps.DeleteFunc(conflicts, func(b string, _ int64) bool { _, ok := why[b]; return ok })
	if len(why) > 0 {
		stuck = InTrouble{Buckets: len(why), Bucket: slices.Min(slices.Collect(maps.Keys(why)))}
		stuck.Reason = why[stuck.Bucket]
		if found := s.issues.of(stuck.Bucket); len(found) > 0 {
			stuck.Reason = found[0].Reason
		}
	}
	if len(conflicts) > 0 {
		conflict = InTrouble{Buckets: len(conflicts), Bucket: slices.Min(slices.Collect(maps.Keys(conflicts)))}
		conflict.Reason = conflictsOf(conflicts[conflict.Bucket])[0].Text
	}
	return stuck, conflict
}

// StoreTrouble returns why the store is out of reach, or could not be written lately; nil
// if it could, or if nothing was written since.
func (s *Status) StoreTrouble() error {
	if err := s.missing(); err != nil {
		return fmt.Errorf("routing by the local mirror: %w", err)
	}
	if err := s.c.follower.Trouble(); err != nil {
		return err
	}
	return s.c.health.trouble()
}

// SnapshotAge returns how old the knowledge is that a start without the store would go by;
// without a mirror, the knowledge that routing goes by. It is 0 with a store that only
// this instance uses.
func (s *Status) SnapshotAge() time.Duration {
	_, at := s.c.follower.At()
	if mirrored, ok := s.c.mirror.Age(); ok {
		at = mirrored
	}
	if at.IsZero() {
		return 0
	}
	return max(0, s.c.now().Sub(at))
}

package replication

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// gate is what every call of a gated store passes: it counts them, and while it is shut they
// hang.
type gate struct {
	mu    sync.Mutex
	calls map[string]int
	shut  chan struct{} // nil: open; closes when it opens
}

// pass counts a call, and returns when it may go on.
func (g *gate) pass(ctx context.Context, call string) error {
	g.mu.Lock()
	if g.calls == nil {
		g.calls = make(map[string]int)
	}
	g.calls[call]++
	shut := g.shut
	g.mu.Unlock()
	if shut == nil {
		return nil
	}
	select {
	case <-shut:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close makes every call from now on hang, until open is called.
func (g *gate) close() (open func()) {
	shut := make(chan struct{})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	return sync.OnceFunc(func() {
		g.mu.Lock()
		g.shut = nil
		g.mu.Unlock()
		close(shut)
	})
}

// take returns how often each call was made since it was asked last.
func (g *gate) take() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	calls := maps.Clone(g.calls)
	clear(g.calls)
	return calls
}

// gated returns a store whose every call passes a gate, shared if the store is.
func gated(inner state.Store, g *gate) state.Store {
	s := gatedStore{inner, g}
	if shared, ok := inner.(state.Shared); ok {
		return gatedShared{s, shared}
	}
	return s
}

// gatedStore embeds no store: a method that does not pass the gate does not compile.
type gatedStore struct {
	inner state.Store
	gate  *gate
}

type gatedShared struct {
	gatedStore
	shared state.Shared
}

func (s gatedStore) Kind() string { return s.inner.Kind() }
func (s gatedStore) Close() error { return s.inner.Close() }

// Watch waits for what happens, and asks nothing.
func (s gatedStore) Watch(ctx context.Context) <-chan struct{} { return s.inner.Watch(ctx) }

func (s gatedStore) PutPass(ctx context.Context, a state.Pass) (err error) {
	if err = s.gate.pass(ctx, "PutPass"); err == nil {
		err = s.inner.PutPass(ctx, a)
	}
	return err
}

func (s gatedStore) GetPass(ctx context.Context, a string) (r1 state.Pass, err error) {
	if err = s.gate.pass(ctx, "GetPass"); err == nil {
		r1, err = s.inner.GetPass(ctx, a)
	}
	return r1, err
}

func (s gatedStore) TakePass(ctx context.Context, a state.PassKind, b string) (r1 state.Pass, err error) {
	if err = s.gate.pass(ctx, "TakePass"); err == nil {
		r1, err = s.inner.TakePass(ctx, a, b)
	}
	return r1, err
}

func (s gatedStore) TouchPass(ctx context.Context, a string, b time.Time) (err error) {
	if err = s.gate.pass(ctx, "TouchPass"); err == nil {
		err = s.inner.TouchPass(ctx, a, b)
	}
	return err
}

func (s gatedStore) DeletePass(ctx context.Context, a state.PassKind, b string) (r1 bool, err error) {
	if err = s.gate.pass(ctx, "DeletePass"); err == nil {
		r1, err = s.inner.DeletePass(ctx, a, b)
	}
	return r1, err
}

func (s gatedStore) ListPasses(ctx context.Context, a state.PassKind) (r1 []state.Pass, err error) {
	if err = s.gate.pass(ctx, "ListPasses"); err == nil {
		r1, err = s.inner.ListPasses(ctx, a)
	}
	return r1, err
}

func (s gatedStore) ExpirePasses(ctx context.Context, a, b time.Time) (err error) {
	if err = s.gate.pass(ctx, "ExpirePasses"); err == nil {
		err = s.inner.ExpirePasses(ctx, a, b)
	}
	return err
}

func (s gatedStore) AuditRecords(ctx context.Context, a state.AuditFilter, b int) (r1 []audit.Record, err error) {
	if err = s.gate.pass(ctx, "AuditRecords"); err == nil {
		r1, err = s.inner.AuditRecords(ctx, a, b)
	}
	return r1, err
}

func (s gatedStore) AuditHead(ctx context.Context) (r1 audit.Head, err error) {
	if err = s.gate.pass(ctx, "AuditHead"); err == nil {
		r1, err = s.inner.AuditHead(ctx)
	}
	return r1, err
}

func (s gatedStore) TrimAudit(ctx context.Context, a time.Time) (r1 int64, err error) {
	if err = s.gate.pass(ctx, "TrimAudit"); err == nil {
		r1, err = s.inner.TrimAudit(ctx, a)
	}
	return r1, err
}

func (s gatedStore) AddPending(ctx context.Context, a ...state.Pending) (r1 []int64, err error) {
	if err = s.gate.pass(ctx, "AddPending"); err == nil {
		r1, err = s.inner.AddPending(ctx, a...)
	}
	return r1, err
}

func (s gatedStore) AddPurge(ctx context.Context, a state.Purge) (r1 int64, err error) {
	if err = s.gate.pass(ctx, "AddPurge"); err == nil {
		r1, err = s.inner.AddPurge(ctx, a)
	}
	return r1, err
}

func (s gatedStore) AddResolution(ctx context.Context, a state.Resolution) (r1 int64, err error) {
	if err = s.gate.pass(ctx, "AddResolution"); err == nil {
		r1, err = s.inner.AddResolution(ctx, a)
	}
	return r1, err
}

func (s gatedStore) AllowDeletes(ctx context.Context, a time.Time, b ...state.DeleteAllowance) (err error) {
	if err = s.gate.pass(ctx, "AllowDeletes"); err == nil {
		err = s.inner.AllowDeletes(ctx, a, b...)
	}
	return err
}

func (s gatedStore) Backlogs(ctx context.Context, a ...string) (r1 []state.Backlog, err error) {
	if err = s.gate.pass(ctx, "Backlogs"); err == nil {
		r1, err = s.inner.Backlogs(ctx, a...)
	}
	return r1, err
}

func (s gatedStore) BacklogTotal(ctx context.Context) (r1 state.Backlog, err error) {
	if err = s.gate.pass(ctx, "BacklogTotal"); err == nil {
		r1, err = s.inner.BacklogTotal(ctx)
	}
	return r1, err
}

func (s gatedStore) BucketCounts(ctx context.Context) (r1 map[string]int64, err error) {
	if err = s.gate.pass(ctx, "BucketCounts"); err == nil {
		r1, err = s.inner.BucketCounts(ctx)
	}
	return r1, err
}

func (s gatedStore) Changes(ctx context.Context, a state.Seq, b int) (r1 []state.Change, err error) {
	if err = s.gate.pass(ctx, "Changes"); err == nil {
		r1, err = s.inner.Changes(ctx, a, b)
	}
	return r1, err
}

func (s gatedStore) ClaimPending(ctx context.Context, a string, b int, c time.Duration, d time.Time) (r1 []state.Pending, err error) {
	if err = s.gate.pass(ctx, "ClaimPending"); err == nil {
		r1, err = s.inner.ClaimPending(ctx, a, b, c, d)
	}
	return r1, err
}

func (s gatedStore) ClaimPendingIn(ctx context.Context, a string, b string, c int, d time.Duration, e time.Time, f ...string) (r1 []state.Pending, err error) {
	if err = s.gate.pass(ctx, "ClaimPendingIn"); err == nil {
		r1, err = s.inner.ClaimPendingIn(ctx, a, b, c, d, e, f...)
	}
	return r1, err
}

func (s gatedStore) CopiesOf(ctx context.Context, a ...string) (r1 []state.Copy, err error) {
	if err = s.gate.pass(ctx, "CopiesOf"); err == nil {
		r1, err = s.inner.CopiesOf(ctx, a...)
	}
	return r1, err
}

func (s gatedStore) Revision(ctx context.Context) (r1 state.Seq, err error) {
	if err = s.gate.pass(ctx, "Revision"); err == nil {
		r1, err = s.inner.Revision(ctx)
	}
	return r1, err
}

func (s gatedStore) CopySums(ctx context.Context) (r1 []state.CopySum, err error) {
	if err = s.gate.pass(ctx, "CopySums"); err == nil {
		r1, err = s.inner.CopySums(ctx)
	}
	return r1, err
}

func (s gatedStore) DeleteAllowances(ctx context.Context, a string) (r1 []state.DeleteAllowance, err error) {
	if err = s.gate.pass(ctx, "DeleteAllowances"); err == nil {
		r1, err = s.inner.DeleteAllowances(ctx, a)
	}
	return r1, err
}

func (s gatedStore) DeletePulled(ctx context.Context, a ...state.PulledKey) (err error) {
	if err = s.gate.pass(ctx, "DeletePulled"); err == nil {
		err = s.inner.DeletePulled(ctx, a...)
	}
	return err
}

func (s gatedStore) DeleteReport(ctx context.Context, a string) (err error) {
	if err = s.gate.pass(ctx, "DeleteReport"); err == nil {
		err = s.inner.DeleteReport(ctx, a)
	}
	return err
}

func (s gatedStore) DeleteResolution(ctx context.Context, a int64) (err error) {
	if err = s.gate.pass(ctx, "DeleteResolution"); err == nil {
		err = s.inner.DeleteResolution(ctx, a)
	}
	return err
}

func (s gatedStore) DeleteUpload(ctx context.Context, a string, b string, c string) (err error) {
	if err = s.gate.pass(ctx, "DeleteUpload"); err == nil {
		err = s.inner.DeleteUpload(ctx, a, b, c)
	}
	return err
}

func (s gatedStore) Each(ctx context.Context, a catalog.Kind, b func(state.Record) error) (err error) {
	if err = s.gate.pass(ctx, "Each"); err == nil {
		err = s.inner.Each(ctx, a, b)
	}
	return err
}

func (s gatedStore) EachCopy(ctx context.Context, a func(state.Copy) error) (err error) {
	if err = s.gate.pass(ctx, "EachCopy"); err == nil {
		err = s.inner.EachCopy(ctx, a)
	}
	return err
}

func (s gatedStore) EachPending(ctx context.Context, a func(state.Pending) error) (err error) {
	if err = s.gate.pass(ctx, "EachPending"); err == nil {
		err = s.inner.EachPending(ctx, a)
	}
	return err
}

func (s gatedStore) EachPulled(ctx context.Context, a func(state.Pulled) error) (err error) {
	if err = s.gate.pass(ctx, "EachPulled"); err == nil {
		err = s.inner.EachPulled(ctx, a)
	}
	return err
}

func (s gatedStore) EachUpload(ctx context.Context, a func(state.Upload) error) (err error) {
	if err = s.gate.pass(ctx, "EachUpload"); err == nil {
		err = s.inner.EachUpload(ctx, a)
	}
	return err
}

func (s gatedStore) ExtendClaims(ctx context.Context, a string, b time.Time, c ...state.PendingKey) (r1 []state.PendingKey, err error) {
	if err = s.gate.pass(ctx, "ExtendClaims"); err == nil {
		r1, err = s.inner.ExtendClaims(ctx, a, b, c...)
	}
	return r1, err
}

func (s gatedStore) FailPending(ctx context.Context, a ...state.Pending) (err error) {
	if err = s.gate.pass(ctx, "FailPending"); err == nil {
		err = s.inner.FailPending(ctx, a...)
	}
	return err
}

func (s gatedStore) FinishPending(ctx context.Context, a ...state.PendingKey) (r1 []bool, err error) {
	if err = s.gate.pass(ctx, "FinishPending"); err == nil {
		r1, err = s.inner.FinishPending(ctx, a...)
	}
	return r1, err
}

func (s gatedStore) FinishPurge(ctx context.Context, a string, b int64) (r1 bool, err error) {
	if err = s.gate.pass(ctx, "FinishPurge"); err == nil {
		r1, err = s.inner.FinishPurge(ctx, a, b)
	}
	return r1, err
}

func (s gatedStore) FinishPurgeTarget(ctx context.Context, a string, b int64, c string) (err error) {
	if err = s.gate.pass(ctx, "FinishPurgeTarget"); err == nil {
		err = s.inner.FinishPurgeTarget(ctx, a, b, c)
	}
	return err
}

func (s gatedStore) Records(ctx context.Context, a catalog.Kind, b ...string) (r1 []state.Record, err error) {
	if err = s.gate.pass(ctx, "Records"); err == nil {
		r1, err = s.inner.Records(ctx, a, b...)
	}
	return r1, err
}

func (s gatedStore) Get(ctx context.Context, a catalog.Kind, b string) (r1 state.Record, err error) {
	if err = s.gate.pass(ctx, "Get"); err == nil {
		r1, err = s.inner.Get(ctx, a, b)
	}
	return r1, err
}

func (s gatedStore) GetMeta(ctx context.Context, a string) (r1 string, err error) {
	if err = s.gate.pass(ctx, "GetMeta"); err == nil {
		r1, err = s.inner.GetMeta(ctx, a)
	}
	return r1, err
}

func (s gatedStore) GetPurgeKey(ctx context.Context, a string, b string, c string) (r1 state.PurgeKey, err error) {
	if err = s.gate.pass(ctx, "GetPurgeKey"); err == nil {
		r1, err = s.inner.GetPurgeKey(ctx, a, b, c)
	}
	return r1, err
}

func (s gatedStore) GetScrub(ctx context.Context) (r1 state.Scrub, err error) {
	if err = s.gate.pass(ctx, "GetScrub"); err == nil {
		r1, err = s.inner.GetScrub(ctx)
	}
	return r1, err
}

func (s gatedStore) GetUpload(ctx context.Context, a string, b string, c string) (r1 state.Upload, err error) {
	if err = s.gate.pass(ctx, "GetUpload"); err == nil {
		r1, err = s.inner.GetUpload(ctx, a, b, c)
	}
	return r1, err
}

func (s gatedStore) GetVerification(ctx context.Context, a string) (r1 state.Verification, err error) {
	if err = s.gate.pass(ctx, "GetVerification"); err == nil {
		r1, err = s.inner.GetVerification(ctx, a)
	}
	return r1, err
}

func (s gatedStore) List(ctx context.Context, a catalog.Kind, b string, c int) (r1 []state.Record, err error) {
	if err = s.gate.pass(ctx, "List"); err == nil {
		r1, err = s.inner.List(ctx, a, b, c)
	}
	return r1, err
}

func (s gatedStore) ListMismatches(ctx context.Context, a string, b state.MismatchFilter, c state.Mismatch, d int) (r1 []state.Mismatch, err error) {
	if err = s.gate.pass(ctx, "ListMismatches"); err == nil {
		r1, err = s.inner.ListMismatches(ctx, a, b, c, d)
	}
	return r1, err
}

func (s gatedStore) ListPending(ctx context.Context, a state.PendingFilter, b state.PendingKey, c int) (r1 []state.Pending, err error) {
	if err = s.gate.pass(ctx, "ListPending"); err == nil {
		r1, err = s.inner.ListPending(ctx, a, b, c)
	}
	return r1, err
}

func (s gatedStore) ListPulled(ctx context.Context, a state.PulledFilter, b int) (r1 []state.Pulled, err error) {
	if err = s.gate.pass(ctx, "ListPulled"); err == nil {
		r1, err = s.inner.ListPulled(ctx, a, b)
	}
	return r1, err
}

func (s gatedStore) ListReports(ctx context.Context, a string) (r1 []state.Report, err error) {
	if err = s.gate.pass(ctx, "ListReports"); err == nil {
		r1, err = s.inner.ListReports(ctx, a)
	}
	return r1, err
}

func (s gatedStore) ListVerifications(ctx context.Context, a state.VerificationFilter, b string, c int) (r1 []state.Verification, err error) {
	if err = s.gate.pass(ctx, "ListVerifications"); err == nil {
		r1, err = s.inner.ListVerifications(ctx, a, b, c)
	}
	return r1, err
}

func (s gatedStore) NextDue(ctx context.Context) (r1 map[string]time.Time, err error) {
	if err = s.gate.pass(ctx, "NextDue"); err == nil {
		r1, err = s.inner.NextDue(ctx)
	}
	return r1, err
}

func (s gatedStore) Paused(ctx context.Context) (r1 bool, err error) {
	if err = s.gate.pass(ctx, "Paused"); err == nil {
		r1, err = s.inner.Paused(ctx)
	}
	return r1, err
}

func (s gatedStore) PulledBytes(ctx context.Context) (r1 map[string]int64, err error) {
	if err = s.gate.pass(ctx, "PulledBytes"); err == nil {
		r1, err = s.inner.PulledBytes(ctx)
	}
	return r1, err
}

func (s gatedStore) PurgeKeys(ctx context.Context, a string, b state.PurgeKey, c int) (r1 []state.PurgeKey, err error) {
	if err = s.gate.pass(ctx, "PurgeKeys"); err == nil {
		r1, err = s.inner.PurgeKeys(ctx, a, b, c)
	}
	return r1, err
}

func (s gatedStore) Purges(ctx context.Context) (r1 []state.Purge, err error) {
	if err = s.gate.pass(ctx, "Purges"); err == nil {
		r1, err = s.inner.Purges(ctx)
	}
	return r1, err
}

func (s gatedStore) PutMeta(ctx context.Context, a string, b string) (err error) {
	if err = s.gate.pass(ctx, "PutMeta"); err == nil {
		err = s.inner.PutMeta(ctx, a, b)
	}
	return err
}

func (s gatedStore) PutMismatches(ctx context.Context, a string, b ...state.Mismatch) (err error) {
	if err = s.gate.pass(ctx, "PutMismatches"); err == nil {
		err = s.inner.PutMismatches(ctx, a, b...)
	}
	return err
}

func (s gatedStore) PutPulled(ctx context.Context, a ...state.Pulled) (err error) {
	if err = s.gate.pass(ctx, "PutPulled"); err == nil {
		err = s.inner.PutPulled(ctx, a...)
	}
	return err
}

func (s gatedStore) PutPurgeKeys(ctx context.Context, a string, b ...state.PurgeKey) (err error) {
	if err = s.gate.pass(ctx, "PutPurgeKeys"); err == nil {
		err = s.inner.PutPurgeKeys(ctx, a, b...)
	}
	return err
}

func (s gatedStore) PutReport(ctx context.Context, a string, b string) (err error) {
	if err = s.gate.pass(ctx, "PutReport"); err == nil {
		err = s.inner.PutReport(ctx, a, b)
	}
	return err
}

func (s gatedStore) PutUpload(ctx context.Context, a state.Upload) (err error) {
	if err = s.gate.pass(ctx, "PutUpload"); err == nil {
		err = s.inner.PutUpload(ctx, a)
	}
	return err
}

func (s gatedStore) ReleaseClaims(ctx context.Context, a string) (err error) {
	if err = s.gate.pass(ctx, "ReleaseClaims"); err == nil {
		err = s.inner.ReleaseClaims(ctx, a)
	}
	return err
}

func (s gatedStore) Resolutions(ctx context.Context) (r1 []state.Resolution, err error) {
	if err = s.gate.pass(ctx, "Resolutions"); err == nil {
		r1, err = s.inner.Resolutions(ctx)
	}
	return r1, err
}

func (s gatedStore) RetryPending(ctx context.Context, a state.PendingFilter, b time.Time) (r1 int, err error) {
	if err = s.gate.pass(ctx, "RetryPending"); err == nil {
		r1, err = s.inner.RetryPending(ctx, a, b)
	}
	return r1, err
}

func (s gatedStore) SaveCopies(ctx context.Context, a ...state.Copy) (r1 int, err error) {
	if err = s.gate.pass(ctx, "SaveCopies"); err == nil {
		r1, err = s.inner.SaveCopies(ctx, a...)
	}
	return r1, err
}

func (s gatedStore) SaveResolution(ctx context.Context, a state.Resolution) (r1 bool, err error) {
	if err = s.gate.pass(ctx, "SaveResolution"); err == nil {
		r1, err = s.inner.SaveResolution(ctx, a)
	}
	return r1, err
}

func (s gatedStore) SaveScrub(ctx context.Context, a state.Scrub) (err error) {
	if err = s.gate.pass(ctx, "SaveScrub"); err == nil {
		err = s.inner.SaveScrub(ctx, a)
	}
	return err
}

func (s gatedStore) Seq(ctx context.Context) (r1 state.Seq, err error) {
	if err = s.gate.pass(ctx, "Seq"); err == nil {
		r1, err = s.inner.Seq(ctx)
	}
	return r1, err
}

func (s gatedStore) SetPaused(ctx context.Context, a bool) (err error) {
	if err = s.gate.pass(ctx, "SetPaused"); err == nil {
		err = s.inner.SetPaused(ctx, a)
	}
	return err
}

func (s gatedStore) TakeDeletes(ctx context.Context, a time.Time, b state.DeleteAllowance) (r1 int64, err error) {
	if err = s.gate.pass(ctx, "TakeDeletes"); err == nil {
		r1, err = s.inner.TakeDeletes(ctx, a, b)
	}
	return r1, err
}

func (s gatedStore) TouchPulled(ctx context.Context, a ...state.Pulled) (err error) {
	if err = s.gate.pass(ctx, "TouchPulled"); err == nil {
		err = s.inner.TouchPulled(ctx, a...)
	}
	return err
}

func (s gatedStore) TryLock(ctx context.Context, a string) (r1 state.Lock, r2 bool, err error) {
	if err = s.gate.pass(ctx, "TryLock"); err == nil {
		r1, r2, err = s.inner.TryLock(ctx, a)
	}
	return r1, r2, err
}

func (s gatedStore) Unhold(ctx context.Context, a state.PendingFilter, b time.Time) (r1 int, err error) {
	if err = s.gate.pass(ctx, "Unhold"); err == nil {
		r1, err = s.inner.Unhold(ctx, a, b)
	}
	return r1, err
}

func (s gatedStore) Update(ctx context.Context, a func(state.Tx) error) (r1 state.Seq, err error) {
	if err = s.gate.pass(ctx, "Update"); err == nil {
		r1, err = s.inner.Update(ctx, a)
	}
	return r1, err
}

func (s gatedStore) UpdateVerification(ctx context.Context, a string, b func(*state.Verification) error) (r1 state.Verification, err error) {
	if err = s.gate.pass(ctx, "UpdateVerification"); err == nil {
		r1, err = s.inner.UpdateVerification(ctx, a, b)
	}
	return r1, err
}

func (s gatedShared) Join(ctx context.Context, a string) (r1 state.Member, err error) {
	if err = s.gate.pass(ctx, "Join"); err == nil {
		r1, err = s.shared.Join(ctx, a)
	}
	return r1, err
}

func (s gatedShared) Members(ctx context.Context) (r1 []state.MemberInfo, err error) {
	if err = s.gate.pass(ctx, "Members"); err == nil {
		r1, err = s.shared.Members(ctx)
	}
	return r1, err
}

func (s gatedShared) ObjectChanges(ctx context.Context, a state.Seq, b int) (r1 []state.ObjectChange, err error) {
	if err = s.gate.pass(ctx, "ObjectChanges"); err == nil {
		r1, err = s.shared.ObjectChanges(ctx, a, b)
	}
	return r1, err
}

func (s gatedShared) ObjectSeq(ctx context.Context) (r1 state.Seq, err error) {
	if err = s.gate.pass(ctx, "ObjectSeq"); err == nil {
		r1, err = s.shared.ObjectSeq(ctx)
	}
	return r1, err
}

// News waits, and asks nothing.
func (s gatedShared) News(ctx context.Context, of state.NewsKind) <-chan struct{} {
	return s.shared.News(ctx, of)
}

func (s gatedShared) Latest(ctx context.Context) (r1, r2 state.Seq, err error) {
	if err = s.gate.pass(ctx, "Latest"); err == nil {
		r1, r2, err = s.shared.Latest(ctx)
	}
	return r1, r2, err
}

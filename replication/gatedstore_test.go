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

func (s gatedStore) ChangeLog() state.ChangeLog { return gatedStoreChangeLog{s} }

type gatedStoreChangeLog struct{ of gatedStore }

// Watch waits for what happens, and asks nothing.
func (s gatedStoreChangeLog) Watch(ctx context.Context) <-chan struct{} {
	return s.of.inner.ChangeLog().Watch(ctx)
}

func (s gatedStore) Passes() state.Passes { return gatedStorePasses{s} }

type gatedStorePasses struct{ of gatedStore }

func (s gatedStorePasses) PutPass(ctx context.Context, a state.Pass) (err error) {
	if err = s.of.gate.pass(ctx, "PutPass"); err == nil {
		err = s.of.inner.Passes().PutPass(ctx, a)
	}
	return err
}

func (s gatedStorePasses) GetPass(ctx context.Context, a string) (r1 state.Pass, err error) {
	if err = s.of.gate.pass(ctx, "GetPass"); err == nil {
		r1, err = s.of.inner.Passes().GetPass(ctx, a)
	}
	return r1, err
}

func (s gatedStorePasses) TakePass(ctx context.Context, a state.PassKind, b string) (r1 state.Pass, err error) {
	if err = s.of.gate.pass(ctx, "TakePass"); err == nil {
		r1, err = s.of.inner.Passes().TakePass(ctx, a, b)
	}
	return r1, err
}

func (s gatedStorePasses) TouchPass(ctx context.Context, a string, b time.Time) (err error) {
	if err = s.of.gate.pass(ctx, "TouchPass"); err == nil {
		err = s.of.inner.Passes().TouchPass(ctx, a, b)
	}
	return err
}

func (s gatedStorePasses) DeletePass(ctx context.Context, a state.PassKind, b string) (r1 bool, err error) {
	if err = s.of.gate.pass(ctx, "DeletePass"); err == nil {
		r1, err = s.of.inner.Passes().DeletePass(ctx, a, b)
	}
	return r1, err
}

func (s gatedStorePasses) ListPasses(ctx context.Context, a state.PassKind) (r1 []state.Pass, err error) {
	if err = s.of.gate.pass(ctx, "ListPasses"); err == nil {
		r1, err = s.of.inner.Passes().ListPasses(ctx, a)
	}
	return r1, err
}

func (s gatedStorePasses) ExpirePasses(ctx context.Context, a, b time.Time) (err error) {
	if err = s.of.gate.pass(ctx, "ExpirePasses"); err == nil {
		err = s.of.inner.Passes().ExpirePasses(ctx, a, b)
	}
	return err
}

func (s gatedStore) Audits() state.Audits { return gatedStoreAudits{s} }

type gatedStoreAudits struct{ of gatedStore }

func (s gatedStoreAudits) AuditRecords(ctx context.Context, a state.AuditFilter, b int) (r1 []audit.Record, err error) {
	if err = s.of.gate.pass(ctx, "AuditRecords"); err == nil {
		r1, err = s.of.inner.Audits().AuditRecords(ctx, a, b)
	}
	return r1, err
}

func (s gatedStoreAudits) AuditHead(ctx context.Context) (r1 audit.Head, err error) {
	if err = s.of.gate.pass(ctx, "AuditHead"); err == nil {
		r1, err = s.of.inner.Audits().AuditHead(ctx)
	}
	return r1, err
}

func (s gatedStoreAudits) TrimAudit(ctx context.Context, a time.Time) (r1 int64, err error) {
	if err = s.of.gate.pass(ctx, "TrimAudit"); err == nil {
		r1, err = s.of.inner.Audits().TrimAudit(ctx, a)
	}
	return r1, err
}

func (s gatedStore) Queue() state.Queue { return gatedStoreQueue{s} }

type gatedStoreQueue struct{ of gatedStore }

func (s gatedStoreQueue) AddPending(ctx context.Context, a ...state.Pending) (r1 []int64, err error) {
	if err = s.of.gate.pass(ctx, "AddPending"); err == nil {
		r1, err = s.of.inner.Queue().AddPending(ctx, a...)
	}
	return r1, err
}

func (s gatedStore) Purges() state.Purges { return gatedStorePurges{s} }

type gatedStorePurges struct{ of gatedStore }

func (s gatedStorePurges) AddPurge(ctx context.Context, a state.Purge) (r1 int64, err error) {
	if err = s.of.gate.pass(ctx, "AddPurge"); err == nil {
		r1, err = s.of.inner.Purges().AddPurge(ctx, a)
	}
	return r1, err
}

func (s gatedStore) Resolutions() state.Resolutions { return gatedStoreResolutions{s} }

type gatedStoreResolutions struct{ of gatedStore }

func (s gatedStoreResolutions) AddResolution(ctx context.Context, a state.Resolution) (r1 int64, err error) {
	if err = s.of.gate.pass(ctx, "AddResolution"); err == nil {
		r1, err = s.of.inner.Resolutions().AddResolution(ctx, a)
	}
	return r1, err
}

func (s gatedStore) Allowances() state.Allowances { return gatedStoreAllowances{s} }

type gatedStoreAllowances struct{ of gatedStore }

func (s gatedStoreAllowances) AllowDeletes(ctx context.Context, a time.Time, b ...state.DeleteAllowance) (err error) {
	if err = s.of.gate.pass(ctx, "AllowDeletes"); err == nil {
		err = s.of.inner.Allowances().AllowDeletes(ctx, a, b...)
	}
	return err
}

func (s gatedStoreQueue) Backlogs(ctx context.Context, a ...string) (r1 []state.Backlog, err error) {
	if err = s.of.gate.pass(ctx, "Backlogs"); err == nil {
		r1, err = s.of.inner.Queue().Backlogs(ctx, a...)
	}
	return r1, err
}

func (s gatedStoreQueue) BacklogTotal(ctx context.Context) (r1 state.Backlog, err error) {
	if err = s.of.gate.pass(ctx, "BacklogTotal"); err == nil {
		r1, err = s.of.inner.Queue().BacklogTotal(ctx)
	}
	return r1, err
}

func (s gatedStore) Catalogue() state.Catalogue { return gatedStoreCatalogue{s} }

type gatedStoreCatalogue struct{ of gatedStore }

func (s gatedStoreCatalogue) BucketCounts(ctx context.Context) (r1 map[string]int64, err error) {
	if err = s.of.gate.pass(ctx, "BucketCounts"); err == nil {
		r1, err = s.of.inner.Catalogue().BucketCounts(ctx)
	}
	return r1, err
}

func (s gatedStoreChangeLog) Changes(ctx context.Context, a state.Seq, b int) (r1 []state.Change, err error) {
	if err = s.of.gate.pass(ctx, "Changes"); err == nil {
		r1, err = s.of.inner.ChangeLog().Changes(ctx, a, b)
	}
	return r1, err
}

func (s gatedStoreQueue) ClaimPending(ctx context.Context, a string, b int, c time.Duration, d time.Time) (r1 []state.Pending, err error) {
	if err = s.of.gate.pass(ctx, "ClaimPending"); err == nil {
		r1, err = s.of.inner.Queue().ClaimPending(ctx, a, b, c, d)
	}
	return r1, err
}

func (s gatedStoreQueue) ClaimPendingIn(ctx context.Context, a string, b string, c int, d time.Duration, e time.Time, f ...string) (r1 []state.Pending, err error) {
	if err = s.of.gate.pass(ctx, "ClaimPendingIn"); err == nil {
		r1, err = s.of.inner.Queue().ClaimPendingIn(ctx, a, b, c, d, e, f...)
	}
	return r1, err
}

func (s gatedStoreCatalogue) CopiesOf(ctx context.Context, a ...string) (r1 []state.Copy, err error) {
	if err = s.of.gate.pass(ctx, "CopiesOf"); err == nil {
		r1, err = s.of.inner.Catalogue().CopiesOf(ctx, a...)
	}
	return r1, err
}

func (s gatedStoreCatalogue) Revision(ctx context.Context) (r1 state.Seq, err error) {
	if err = s.of.gate.pass(ctx, "Revision"); err == nil {
		r1, err = s.of.inner.Catalogue().Revision(ctx)
	}
	return r1, err
}

func (s gatedStoreCatalogue) CopySums(ctx context.Context) (r1 []state.CopySum, err error) {
	if err = s.of.gate.pass(ctx, "CopySums"); err == nil {
		r1, err = s.of.inner.Catalogue().CopySums(ctx)
	}
	return r1, err
}

func (s gatedStoreAllowances) DeleteAllowances(ctx context.Context, a string) (r1 []state.DeleteAllowance, err error) {
	if err = s.of.gate.pass(ctx, "DeleteAllowances"); err == nil {
		r1, err = s.of.inner.Allowances().DeleteAllowances(ctx, a)
	}
	return r1, err
}

func (s gatedStore) Pulls() state.Pulls { return gatedStorePulls{s} }

type gatedStorePulls struct{ of gatedStore }

func (s gatedStorePulls) DeletePulled(ctx context.Context, a ...state.PulledKey) (err error) {
	if err = s.of.gate.pass(ctx, "DeletePulled"); err == nil {
		err = s.of.inner.Pulls().DeletePulled(ctx, a...)
	}
	return err
}

func (s gatedStore) Reports() state.Reports { return gatedStoreReports{s} }

type gatedStoreReports struct{ of gatedStore }

func (s gatedStoreReports) DeleteReport(ctx context.Context, a string) (err error) {
	if err = s.of.gate.pass(ctx, "DeleteReport"); err == nil {
		err = s.of.inner.Reports().DeleteReport(ctx, a)
	}
	return err
}

func (s gatedStoreResolutions) DeleteResolution(ctx context.Context, a int64) (err error) {
	if err = s.of.gate.pass(ctx, "DeleteResolution"); err == nil {
		err = s.of.inner.Resolutions().DeleteResolution(ctx, a)
	}
	return err
}

func (s gatedStore) Uploads() state.Uploads { return gatedStoreUploads{s} }

type gatedStoreUploads struct{ of gatedStore }

func (s gatedStoreUploads) DeleteUpload(ctx context.Context, a string, b string, c string) (err error) {
	if err = s.of.gate.pass(ctx, "DeleteUpload"); err == nil {
		err = s.of.inner.Uploads().DeleteUpload(ctx, a, b, c)
	}
	return err
}

func (s gatedStoreCatalogue) Each(ctx context.Context, a catalog.Kind, b func(state.Record) error) (err error) {
	if err = s.of.gate.pass(ctx, "Each"); err == nil {
		err = s.of.inner.Catalogue().Each(ctx, a, b)
	}
	return err
}

func (s gatedStoreCatalogue) EachCopy(ctx context.Context, a func(state.Copy) error) (err error) {
	if err = s.of.gate.pass(ctx, "EachCopy"); err == nil {
		err = s.of.inner.Catalogue().EachCopy(ctx, a)
	}
	return err
}

func (s gatedStoreQueue) EachPending(ctx context.Context, a func(state.Pending) error) (err error) {
	if err = s.of.gate.pass(ctx, "EachPending"); err == nil {
		err = s.of.inner.Queue().EachPending(ctx, a)
	}
	return err
}

func (s gatedStorePulls) EachPulled(ctx context.Context, a func(state.Pulled) error) (err error) {
	if err = s.of.gate.pass(ctx, "EachPulled"); err == nil {
		err = s.of.inner.Pulls().EachPulled(ctx, a)
	}
	return err
}

func (s gatedStoreUploads) EachUpload(ctx context.Context, a func(state.Upload) error) (err error) {
	if err = s.of.gate.pass(ctx, "EachUpload"); err == nil {
		err = s.of.inner.Uploads().EachUpload(ctx, a)
	}
	return err
}

func (s gatedStoreQueue) ExtendClaims(ctx context.Context, a string, b time.Time, c ...state.PendingKey) (r1 []state.PendingKey, err error) {
	if err = s.of.gate.pass(ctx, "ExtendClaims"); err == nil {
		r1, err = s.of.inner.Queue().ExtendClaims(ctx, a, b, c...)
	}
	return r1, err
}

func (s gatedStoreQueue) FailPending(ctx context.Context, a ...state.Pending) (err error) {
	if err = s.of.gate.pass(ctx, "FailPending"); err == nil {
		err = s.of.inner.Queue().FailPending(ctx, a...)
	}
	return err
}

func (s gatedStoreQueue) FinishPending(ctx context.Context, a ...state.PendingKey) (r1 []bool, err error) {
	if err = s.of.gate.pass(ctx, "FinishPending"); err == nil {
		r1, err = s.of.inner.Queue().FinishPending(ctx, a...)
	}
	return r1, err
}

func (s gatedStorePurges) FinishPurge(ctx context.Context, a string, b int64) (r1 bool, err error) {
	if err = s.of.gate.pass(ctx, "FinishPurge"); err == nil {
		r1, err = s.of.inner.Purges().FinishPurge(ctx, a, b)
	}
	return r1, err
}

func (s gatedStorePurges) FinishPurgeTarget(ctx context.Context, a string, b int64, c string) (err error) {
	if err = s.of.gate.pass(ctx, "FinishPurgeTarget"); err == nil {
		err = s.of.inner.Purges().FinishPurgeTarget(ctx, a, b, c)
	}
	return err
}

func (s gatedStoreCatalogue) Records(ctx context.Context, a catalog.Kind, b ...string) (r1 []state.Record, err error) {
	if err = s.of.gate.pass(ctx, "Records"); err == nil {
		r1, err = s.of.inner.Catalogue().Records(ctx, a, b...)
	}
	return r1, err
}

func (s gatedStoreCatalogue) Get(ctx context.Context, a catalog.Kind, b string) (r1 state.Record, err error) {
	if err = s.of.gate.pass(ctx, "Get"); err == nil {
		r1, err = s.of.inner.Catalogue().Get(ctx, a, b)
	}
	return r1, err
}

func (s gatedStore) Facts() state.Facts { return gatedStoreFacts{s} }

type gatedStoreFacts struct{ of gatedStore }

func (s gatedStoreFacts) GetMeta(ctx context.Context, a string) (r1 string, err error) {
	if err = s.of.gate.pass(ctx, "GetMeta"); err == nil {
		r1, err = s.of.inner.Facts().GetMeta(ctx, a)
	}
	return r1, err
}

func (s gatedStorePurges) GetPurgeKey(ctx context.Context, a string, b string, c string) (r1 state.PurgeKey, err error) {
	if err = s.of.gate.pass(ctx, "GetPurgeKey"); err == nil {
		r1, err = s.of.inner.Purges().GetPurgeKey(ctx, a, b, c)
	}
	return r1, err
}

func (s gatedStore) Verifications() state.Verifications { return gatedStoreVerifications{s} }

type gatedStoreVerifications struct{ of gatedStore }

func (s gatedStoreVerifications) GetScrub(ctx context.Context) (r1 state.Scrub, err error) {
	if err = s.of.gate.pass(ctx, "GetScrub"); err == nil {
		r1, err = s.of.inner.Verifications().GetScrub(ctx)
	}
	return r1, err
}

func (s gatedStoreUploads) GetUpload(ctx context.Context, a string, b string, c string) (r1 state.Upload, err error) {
	if err = s.of.gate.pass(ctx, "GetUpload"); err == nil {
		r1, err = s.of.inner.Uploads().GetUpload(ctx, a, b, c)
	}
	return r1, err
}

func (s gatedStoreVerifications) GetVerification(ctx context.Context, a string) (r1 state.Verification, err error) {
	if err = s.of.gate.pass(ctx, "GetVerification"); err == nil {
		r1, err = s.of.inner.Verifications().GetVerification(ctx, a)
	}
	return r1, err
}

func (s gatedStoreCatalogue) List(ctx context.Context, a catalog.Kind, b string, c int) (r1 []state.Record, err error) {
	if err = s.of.gate.pass(ctx, "List"); err == nil {
		r1, err = s.of.inner.Catalogue().List(ctx, a, b, c)
	}
	return r1, err
}

func (s gatedStoreVerifications) ListMismatches(ctx context.Context, a string, b state.MismatchFilter, c state.Mismatch, d int) (r1 []state.Mismatch, err error) {
	if err = s.of.gate.pass(ctx, "ListMismatches"); err == nil {
		r1, err = s.of.inner.Verifications().ListMismatches(ctx, a, b, c, d)
	}
	return r1, err
}

func (s gatedStoreQueue) ListPending(ctx context.Context, a state.PendingFilter, b state.PendingKey, c int) (r1 []state.Pending, err error) {
	if err = s.of.gate.pass(ctx, "ListPending"); err == nil {
		r1, err = s.of.inner.Queue().ListPending(ctx, a, b, c)
	}
	return r1, err
}

func (s gatedStorePulls) ListPulled(ctx context.Context, a state.PulledFilter, b int) (r1 []state.Pulled, err error) {
	if err = s.of.gate.pass(ctx, "ListPulled"); err == nil {
		r1, err = s.of.inner.Pulls().ListPulled(ctx, a, b)
	}
	return r1, err
}

func (s gatedStoreReports) ListReports(ctx context.Context, a string) (r1 []state.Report, err error) {
	if err = s.of.gate.pass(ctx, "ListReports"); err == nil {
		r1, err = s.of.inner.Reports().ListReports(ctx, a)
	}
	return r1, err
}

func (s gatedStoreVerifications) ListVerifications(ctx context.Context, a state.VerificationFilter, b string, c int) (r1 []state.Verification, err error) {
	if err = s.of.gate.pass(ctx, "ListVerifications"); err == nil {
		r1, err = s.of.inner.Verifications().ListVerifications(ctx, a, b, c)
	}
	return r1, err
}

func (s gatedStoreQueue) NextDue(ctx context.Context) (r1 map[string]time.Time, err error) {
	if err = s.of.gate.pass(ctx, "NextDue"); err == nil {
		r1, err = s.of.inner.Queue().NextDue(ctx)
	}
	return r1, err
}

func (s gatedStore) Pauses() state.Pauses { return gatedStorePauses{s} }

type gatedStorePauses struct{ of gatedStore }

func (s gatedStorePauses) Paused(ctx context.Context) (r1 bool, err error) {
	if err = s.of.gate.pass(ctx, "Paused"); err == nil {
		r1, err = s.of.inner.Pauses().Paused(ctx)
	}
	return r1, err
}

func (s gatedStorePulls) PulledBytes(ctx context.Context) (r1 map[string]int64, err error) {
	if err = s.of.gate.pass(ctx, "PulledBytes"); err == nil {
		r1, err = s.of.inner.Pulls().PulledBytes(ctx)
	}
	return r1, err
}

func (s gatedStorePurges) PurgeKeys(ctx context.Context, a string, b state.PurgeKey, c int) (r1 []state.PurgeKey, err error) {
	if err = s.of.gate.pass(ctx, "PurgeKeys"); err == nil {
		r1, err = s.of.inner.Purges().PurgeKeys(ctx, a, b, c)
	}
	return r1, err
}

func (s gatedStorePurges) Purges(ctx context.Context) (r1 []state.Purge, err error) {
	if err = s.of.gate.pass(ctx, "Purges"); err == nil {
		r1, err = s.of.inner.Purges().Purges(ctx)
	}
	return r1, err
}

func (s gatedStoreFacts) PutMeta(ctx context.Context, a string, b string) (err error) {
	if err = s.of.gate.pass(ctx, "PutMeta"); err == nil {
		err = s.of.inner.Facts().PutMeta(ctx, a, b)
	}
	return err
}

func (s gatedStoreVerifications) PutMismatches(ctx context.Context, a string, b ...state.Mismatch) (err error) {
	if err = s.of.gate.pass(ctx, "PutMismatches"); err == nil {
		err = s.of.inner.Verifications().PutMismatches(ctx, a, b...)
	}
	return err
}

func (s gatedStorePulls) PutPulled(ctx context.Context, a ...state.Pulled) (err error) {
	if err = s.of.gate.pass(ctx, "PutPulled"); err == nil {
		err = s.of.inner.Pulls().PutPulled(ctx, a...)
	}
	return err
}

func (s gatedStorePurges) PutPurgeKeys(ctx context.Context, a string, b ...state.PurgeKey) (err error) {
	if err = s.of.gate.pass(ctx, "PutPurgeKeys"); err == nil {
		err = s.of.inner.Purges().PutPurgeKeys(ctx, a, b...)
	}
	return err
}

func (s gatedStoreReports) PutReport(ctx context.Context, a string, b string) (err error) {
	if err = s.of.gate.pass(ctx, "PutReport"); err == nil {
		err = s.of.inner.Reports().PutReport(ctx, a, b)
	}
	return err
}

func (s gatedStoreUploads) PutUpload(ctx context.Context, a state.Upload) (err error) {
	if err = s.of.gate.pass(ctx, "PutUpload"); err == nil {
		err = s.of.inner.Uploads().PutUpload(ctx, a)
	}
	return err
}

func (s gatedStoreQueue) ReleaseClaims(ctx context.Context, a string) (err error) {
	if err = s.of.gate.pass(ctx, "ReleaseClaims"); err == nil {
		err = s.of.inner.Queue().ReleaseClaims(ctx, a)
	}
	return err
}

func (s gatedStoreResolutions) Resolutions(ctx context.Context) (r1 []state.Resolution, err error) {
	if err = s.of.gate.pass(ctx, "Resolutions"); err == nil {
		r1, err = s.of.inner.Resolutions().Resolutions(ctx)
	}
	return r1, err
}

func (s gatedStoreQueue) RetryPending(ctx context.Context, a state.PendingFilter, b time.Time) (r1 int, err error) {
	if err = s.of.gate.pass(ctx, "RetryPending"); err == nil {
		r1, err = s.of.inner.Queue().RetryPending(ctx, a, b)
	}
	return r1, err
}

func (s gatedStoreCatalogue) SaveCopies(ctx context.Context, a ...state.Copy) (r1 int, err error) {
	if err = s.of.gate.pass(ctx, "SaveCopies"); err == nil {
		r1, err = s.of.inner.Catalogue().SaveCopies(ctx, a...)
	}
	return r1, err
}

func (s gatedStoreResolutions) SaveResolution(ctx context.Context, a state.Resolution) (r1 bool, err error) {
	if err = s.of.gate.pass(ctx, "SaveResolution"); err == nil {
		r1, err = s.of.inner.Resolutions().SaveResolution(ctx, a)
	}
	return r1, err
}

func (s gatedStoreVerifications) SaveScrub(ctx context.Context, a state.Scrub) (err error) {
	if err = s.of.gate.pass(ctx, "SaveScrub"); err == nil {
		err = s.of.inner.Verifications().SaveScrub(ctx, a)
	}
	return err
}

func (s gatedStoreChangeLog) Seq(ctx context.Context) (r1 state.Seq, err error) {
	if err = s.of.gate.pass(ctx, "Seq"); err == nil {
		r1, err = s.of.inner.ChangeLog().Seq(ctx)
	}
	return r1, err
}

func (s gatedStorePauses) SetPaused(ctx context.Context, a bool) (err error) {
	if err = s.of.gate.pass(ctx, "SetPaused"); err == nil {
		err = s.of.inner.Pauses().SetPaused(ctx, a)
	}
	return err
}

func (s gatedStoreAllowances) TakeDeletes(ctx context.Context, a time.Time, b state.DeleteAllowance) (r1 int64, err error) {
	if err = s.of.gate.pass(ctx, "TakeDeletes"); err == nil {
		r1, err = s.of.inner.Allowances().TakeDeletes(ctx, a, b)
	}
	return r1, err
}

func (s gatedStorePulls) TouchPulled(ctx context.Context, a ...state.Pulled) (err error) {
	if err = s.of.gate.pass(ctx, "TouchPulled"); err == nil {
		err = s.of.inner.Pulls().TouchPulled(ctx, a...)
	}
	return err
}

func (s gatedStore) Locks() state.Locks { return gatedStoreLocks{s} }

type gatedStoreLocks struct{ of gatedStore }

func (s gatedStoreLocks) TryLock(ctx context.Context, a string) (r1 state.Lock, r2 bool, err error) {
	if err = s.of.gate.pass(ctx, "TryLock"); err == nil {
		r1, r2, err = s.of.inner.Locks().TryLock(ctx, a)
	}
	return r1, r2, err
}

func (s gatedStoreQueue) Unhold(ctx context.Context, a state.PendingFilter, b time.Time) (r1 int, err error) {
	if err = s.of.gate.pass(ctx, "Unhold"); err == nil {
		r1, err = s.of.inner.Queue().Unhold(ctx, a, b)
	}
	return r1, err
}

func (s gatedStoreCatalogue) Update(ctx context.Context, a func(state.Tx) error) (r1 state.Seq, err error) {
	if err = s.of.gate.pass(ctx, "Update"); err == nil {
		r1, err = s.of.inner.Catalogue().Update(ctx, a)
	}
	return r1, err
}

func (s gatedStoreVerifications) UpdateVerification(ctx context.Context, a string, b func(*state.Verification) error) (r1 state.Verification, err error) {
	if err = s.of.gate.pass(ctx, "UpdateVerification"); err == nil {
		r1, err = s.of.inner.Verifications().UpdateVerification(ctx, a, b)
	}
	return r1, err
}

func (s gatedShared) Instances() state.Instances { return gatedSharedInstances{s} }

type gatedSharedInstances struct{ of gatedShared }

func (s gatedSharedInstances) Join(ctx context.Context, a string) (r1 state.Member, err error) {
	if err = s.of.gate.pass(ctx, "Join"); err == nil {
		r1, err = s.of.shared.Instances().Join(ctx, a)
	}
	return r1, err
}

func (s gatedSharedInstances) Members(ctx context.Context) (r1 []state.MemberInfo, err error) {
	if err = s.of.gate.pass(ctx, "Members"); err == nil {
		r1, err = s.of.shared.Instances().Members(ctx)
	}
	return r1, err
}

func (s gatedSharedInstances) ObjectChanges(ctx context.Context, a state.Seq, b int) (r1 []state.ObjectChange, err error) {
	if err = s.of.gate.pass(ctx, "ObjectChanges"); err == nil {
		r1, err = s.of.shared.Instances().ObjectChanges(ctx, a, b)
	}
	return r1, err
}

func (s gatedSharedInstances) ObjectSeq(ctx context.Context) (r1 state.Seq, err error) {
	if err = s.of.gate.pass(ctx, "ObjectSeq"); err == nil {
		r1, err = s.of.shared.Instances().ObjectSeq(ctx)
	}
	return r1, err
}

// News waits, and asks nothing.
func (s gatedSharedInstances) News(ctx context.Context, of state.NewsKind) <-chan struct{} {
	return s.of.shared.Instances().News(ctx, of)
}

func (s gatedSharedInstances) Latest(ctx context.Context) (r1, r2 state.Seq, err error) {
	if err = s.of.gate.pass(ctx, "Latest"); err == nil {
		r1, r2, err = s.of.shared.Instances().Latest(ctx)
	}
	return r1, r2, err
}

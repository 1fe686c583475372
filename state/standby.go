package state

import (
	"context"
	"time"

	"github.com/fado-project/fado/audit"
)

// NewStandby returns a Store that stands in for one of a kind that is out of reach: the
// catalogue, the copies, the pending and the pulled rows are read from a mirror. Whatever
// would change something, takes a lock, or is not mirrored is refused with the error that
// refuse returns. Closing it leaves the mirror open.
func NewStandby(kind string, mirror Store, refuse func() error) Store {
	return &standby{kind, mirror, refuse}
}

// standby has a type for each role, which says in one place what it refuses.
type standby struct {
	kind   string
	mirror Store
	refuse refusal
}

// refusal is why nothing is changed.
type refusal func() error

func (s *standby) Kind() string { return s.kind }

func (s *standby) Close() error { return nil }

func (s *standby) Catalogue() Catalogue {
	return catalogueStandby{s.mirror.Catalogue(), s.refuse}
}

func (s *standby) Queue() Queue { return queueStandby{s.mirror.Queue(), s.refuse} }

func (s *standby) Pulls() Pulls { return pullsStandby{s.mirror.Pulls(), s.refuse} }

func (s *standby) Uploads() Uploads { return uploadsStandby{s.mirror.Uploads(), s.refuse} }

func (s *standby) Purges() Purges { return purgesStandby{s.refuse} }

func (s *standby) Resolutions() Resolutions { return resolutionsStandby{s.refuse} }

func (s *standby) Allowances() Allowances { return allowancesStandby{s.refuse} }

func (s *standby) Verifications() Verifications { return verifyStandby{s.refuse} }

func (s *standby) Pauses() Pauses { return pausesStandby{s.refuse} }

func (s *standby) Reports() Reports { return reportsStandby{s.refuse} }

func (s *standby) Audits() Audits { return auditsStandby{s.refuse} }

func (s *standby) Passes() Passes { return passesStandby{s.refuse} }

func (s *standby) Facts() Facts { return factsStandby{s.refuse} }

func (s *standby) ChangeLog() ChangeLog {
	return changesStandby{s.mirror.ChangeLog(), s.refuse}
}

func (s *standby) Locks() Locks { return locksStandby{s.refuse} }

// changesStandby has no Seq: the mirror's changes have numbers of their own.
type changesStandby struct {
	ChangeLog
	refuse refusal
}

func (s changesStandby) Seq(context.Context) (Seq, error) { return 0, s.refuse() }

type locksStandby struct{ refuse refusal }

func (s locksStandby) TryLock(context.Context, string) (Lock, bool, error) {
	return nil, false, s.refuse()
}

type catalogueStandby struct {
	Catalogue
	refuse refusal
}

func (s catalogueStandby) Update(context.Context, func(Tx) error) (Seq, error) {
	return 0, s.refuse()
}
func (s catalogueStandby) Revision(context.Context) (Seq, error)            { return 0, s.refuse() }
func (s catalogueStandby) SaveCopies(context.Context, ...Copy) (int, error) { return 0, s.refuse() }

type queueStandby struct {
	Queue
	refuse refusal
}

func (s queueStandby) AddPending(context.Context, ...Pending) ([]int64, error) {
	return nil, s.refuse()
}

func (s queueStandby) ClaimPending(context.Context, string, int, time.Duration, time.Time) ([]Pending, error) {
	return nil, s.refuse()
}

func (s queueStandby) ClaimPendingIn(context.Context, string, string, int, time.Duration, time.Time, ...string) ([]Pending, error) {
	return nil, s.refuse()
}

func (s queueStandby) NextDue(context.Context) (map[string]time.Time, error) { return nil, s.refuse() }

func (s queueStandby) ExtendClaims(context.Context, string, time.Time, ...PendingKey) ([]PendingKey, error) {
	return nil, s.refuse()
}

func (s queueStandby) FinishPending(context.Context, ...PendingKey) ([]bool, error) {
	return nil, s.refuse()
}
func (s queueStandby) FailPending(context.Context, ...Pending) error { return s.refuse() }
func (s queueStandby) ReleaseClaims(context.Context, string) error   { return s.refuse() }

func (s queueStandby) RetryPending(context.Context, PendingFilter, time.Time) (int, error) {
	return 0, s.refuse()
}

func (s queueStandby) Unhold(context.Context, PendingFilter, time.Time) (int, error) {
	return 0, s.refuse()
}

type pullsStandby struct {
	Pulls
	refuse refusal
}

func (s pullsStandby) PutPulled(context.Context, ...Pulled) error       { return s.refuse() }
func (s pullsStandby) TouchPulled(context.Context, ...Pulled) error     { return s.refuse() }
func (s pullsStandby) DeletePulled(context.Context, ...PulledKey) error { return s.refuse() }

type uploadsStandby struct {
	Uploads
	refuse refusal
}

func (s uploadsStandby) PutUpload(context.Context, Upload) error { return s.refuse() }
func (s uploadsStandby) DeleteUpload(context.Context, string, string, string) error {
	return s.refuse()
}

type purgesStandby struct{ refuse refusal }

func (s purgesStandby) AddPurge(context.Context, Purge) (int64, error) { return 0, s.refuse() }

func (s purgesStandby) Purges(context.Context) ([]Purge, error) { return nil, s.refuse() }

func (s purgesStandby) PutPurgeKeys(context.Context, string, ...PurgeKey) error { return s.refuse() }

func (s purgesStandby) PurgeKeys(context.Context, string, PurgeKey, int) ([]PurgeKey, error) {
	return nil, s.refuse()
}

func (s purgesStandby) GetPurgeKey(context.Context, string, string, string) (PurgeKey, error) {
	return PurgeKey{}, s.refuse()
}

func (s purgesStandby) FinishPurgeTarget(context.Context, string, int64, string) error {
	return s.refuse()
}

func (s purgesStandby) FinishPurge(context.Context, string, int64) (bool, error) {
	return false, s.refuse()
}

type resolutionsStandby struct{ refuse refusal }

func (s resolutionsStandby) AddResolution(context.Context, Resolution) (int64, error) {
	return 0, s.refuse()
}

func (s resolutionsStandby) Resolutions(context.Context) ([]Resolution, error) {
	return nil, s.refuse()
}

func (s resolutionsStandby) SaveResolution(context.Context, Resolution) (bool, error) {
	return false, s.refuse()
}
func (s resolutionsStandby) DeleteResolution(context.Context, int64) error { return s.refuse() }

type allowancesStandby struct{ refuse refusal }

func (s allowancesStandby) AllowDeletes(context.Context, time.Time, ...DeleteAllowance) error {
	return s.refuse()
}

func (s allowancesStandby) TakeDeletes(context.Context, time.Time, DeleteAllowance) (int64, error) {
	return 0, s.refuse()
}

func (s allowancesStandby) DeleteAllowances(context.Context, string) ([]DeleteAllowance, error) {
	return nil, s.refuse()
}

type pausesStandby struct{ refuse refusal }

func (s pausesStandby) Paused(context.Context) (bool, error)  { return false, s.refuse() }
func (s pausesStandby) SetPaused(context.Context, bool) error { return s.refuse() }

type verifyStandby struct{ refuse refusal }

func (s verifyStandby) UpdateVerification(context.Context, string, func(*Verification) error) (Verification, error) {
	return Verification{}, s.refuse()
}

func (s verifyStandby) GetVerification(context.Context, string) (Verification, error) {
	return Verification{}, s.refuse()
}

func (s verifyStandby) ListVerifications(context.Context, VerificationFilter, string, int) ([]Verification, error) {
	return nil, s.refuse()
}

func (s verifyStandby) PutMismatches(context.Context, string, ...Mismatch) error { return s.refuse() }

func (s verifyStandby) ListMismatches(context.Context, string, MismatchFilter, Mismatch, int) ([]Mismatch, error) {
	return nil, s.refuse()
}
func (s verifyStandby) GetScrub(context.Context) (Scrub, error) { return Scrub{}, s.refuse() }
func (s verifyStandby) SaveScrub(context.Context, Scrub) error  { return s.refuse() }

type auditsStandby struct{ refuse refusal }

func (s auditsStandby) AuditRecords(context.Context, AuditFilter, int) ([]audit.Record, error) {
	return nil, s.refuse()
}

func (s auditsStandby) AuditHead(context.Context) (audit.Head, error) {
	return audit.Head{}, s.refuse()
}
func (s auditsStandby) TrimAudit(context.Context, time.Time) (int64, error) { return 0, s.refuse() }

type passesStandby struct{ refuse refusal }

func (s passesStandby) PutPass(context.Context, Pass) error           { return s.refuse() }
func (s passesStandby) GetPass(context.Context, string) (Pass, error) { return Pass{}, s.refuse() }

func (s passesStandby) TakePass(context.Context, PassKind, string) (Pass, error) {
	return Pass{}, s.refuse()
}

func (s passesStandby) TouchPass(context.Context, string, time.Time) error { return s.refuse() }

func (s passesStandby) DeletePass(context.Context, PassKind, string) (bool, error) {
	return false, s.refuse()
}

func (s passesStandby) ListPasses(context.Context, PassKind) ([]Pass, error) { return nil, s.refuse() }

func (s passesStandby) ExpirePasses(context.Context, time.Time, time.Time) error { return s.refuse() }

type factsStandby struct{ refuse refusal }

func (s factsStandby) GetMeta(context.Context, string) (string, error) { return "", s.refuse() }
func (s factsStandby) PutMeta(context.Context, string, string) error   { return s.refuse() }

type reportsStandby struct{ refuse refusal }

func (s reportsStandby) PutReport(context.Context, string, string) error { return s.refuse() }
func (s reportsStandby) DeleteReport(context.Context, string) error      { return s.refuse() }
func (s reportsStandby) ListReports(context.Context, string) ([]Report, error) {
	return nil, s.refuse()
}

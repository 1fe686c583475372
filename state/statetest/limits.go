package statetest

import (
	"fmt"
	"testing"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// limited holds a call that lists rows, of which there are three, to its limit: 0 is no limit,
// and any other gives the first of all.
func limited[T any](t *testing.T, what string, list func(limit int) ([]T, error)) {
	t.Helper()
	all := must(list(0))(t)
	equal(t, what+": number of all", len(all), 3)
	for _, n := range []int{1, 2, 3, 4, 1000} {
		equal(t, fmt.Sprintf("%s: at most %d", what, n), must(list(n))(t), all[:min(n, 3)])
	}
}

func testLimits(t *testing.T, fx Fixture) {
	s := fx.Store
	start, head := must(s.ChangeLog().Seq(ctx))(t), must(s.Audits().AuditHead(ctx))(t)
	for i := range 3 {
		name := fmt.Sprint("b", i)
		update(t, s, func(tx state.Tx) error {
			ok(t, tx.Put(record(catalog.KindBucket, name, `{}`, ref(catalog.KindPolicy, "gold"))))
			return tx.Audit(audit.Entry{At: at(i), Kind: audit.Change, Subject: "bucket " + name, Body: audit.ChangeBody{Resource: "bucket", Name: name, Action: "created"}})
		})
		add(t, s, pending("b0", "k"+name, "c1"))
		ok(t, s.Pulls().PutPulled(ctx, state.Pulled{Bucket: "b0", Key: "k" + name, Cluster: "c1", UsedAt: at(i), Until: at(100)}))
		must(s.Verifications().UpdateVerification(ctx, name, func(v *state.Verification) error {
			v.Started = at(1)
			return nil
		}))(t)
		ok(t, s.Verifications().PutMismatches(ctx, "b0", state.Mismatch{Key: "k" + name, Cluster: "c1"}))
	}
	must(s.Purges().AddPurge(ctx, state.Purge{Bucket: "p", Mode: state.PurgeAll, Since: at(1)}))(t)
	for i := range 3 {
		ok(t, s.Purges().PutPurgeKeys(ctx, "p", state.PurgeKey{Cluster: "c1", Key: fmt.Sprint("k", i)}))
	}

	limited(t, "List", func(n int) ([]state.Record, error) { return s.Catalogue().List(ctx, catalog.KindBucket, "", n) })
	limited(t, "ListPending", func(n int) ([]state.Pending, error) {
		return s.Queue().ListPending(ctx, state.PendingFilter{Bucket: "b0"}, state.PendingKey{}, n)
	})
	limited(t, "ListPulled", func(n int) ([]state.Pulled, error) { return s.Pulls().ListPulled(ctx, state.PulledFilter{}, n) })
	limited(t, "ListVerifications", func(n int) ([]state.Verification, error) {
		return s.Verifications().ListVerifications(ctx, state.VerificationFilter{}, "", n)
	})
	limited(t, "ListMismatches", func(n int) ([]state.Mismatch, error) {
		return s.Verifications().ListMismatches(ctx, "b0", state.MismatchFilter{}, state.Mismatch{}, n)
	})
	limited(t, "PurgeKeys", func(n int) ([]state.PurgeKey, error) { return s.Purges().PurgeKeys(ctx, "p", state.PurgeKey{}, n) })
	limited(t, "AuditRecords", func(n int) ([]audit.Record, error) {
		return s.Audits().AuditRecords(ctx, state.AuditFilter{After: head.Seq}, n)
	})
	limited(t, "Changes", func(n int) ([]state.Change, error) {
		return s.ChangeLog().Changes(ctx, start, n)
	})
	update(t, s, func(tx state.Tx) error {
		limited(t, "List in a transaction", func(n int) ([]state.Record, error) { return tx.List(catalog.KindBucket, "", n) })
		refs := must(tx.Referrers(ref(catalog.KindPolicy, "gold"), 2))(t)
		equal(t, "referrers, at most 2", refs, []state.Ref{ref(catalog.KindBucket, "b0"), ref(catalog.KindBucket, "b1")})
		return nil
	})
}

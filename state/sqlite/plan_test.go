package sqlite

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// allowedScans are walks over what is small or asked for as a whole.
var allowedScans = regexp.MustCompile(`^SCAN (` + strings.Join([]string{
	`counters`, `seal`, // one row
	`b`,      // all sums, of which there is one per copy that has a backlog
	`oldest`, // one row per cause
	// Claims held now; failing and held rows, where all of them are asked for.
	`pending USING (COVERING )?INDEX pending_(claims|failing|causes|held)`,
	`pulled USING INDEX pulled_used`,           // in the order wanted, up to the limit
	`pulled_sums`,                              // one row per cluster
	`copy_sums`, `bucket_sums`, `engine`, `at`, // few per cluster, one row, one per cluster
	`json_each VIRTUAL TABLE INDEX 1:`,      // the names that are asked for
	`p`, `resolutions`, `delete_allowances`, // what people asked for, all of it
	`CONSTANT ROW`,
}, "|") + `)$`)

// sorts are the sorts of small results.
var sorts = regexp.MustCompile(`^USE TEMP B-TREE`)

// TestQueryPlans looks at the plan of every statement the store has prepared after all
// of its methods were called: none may walk a table that grows, or sort one.
func TestQueryPlans(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "fado.db"))
	useEverything(t, s)
	texts := map[string]bool{}
	for text := range s.db.w.stmts {
		texts[text] = true
	}
	s.db.r.stmts.Range(func(text, _ any) bool { texts[text.(string)] = true; return true })
	if len(texts) < 50 {
		t.Fatalf("only %d statements were prepared: the test does not see all", len(texts))
	}
	for text := range texts {
		if strings.HasPrefix(text, "BEGIN") || text == "COMMIT" || text == "ROLLBACK" {
			continue
		}
		for _, step := range plan(t, s, text) {
			if strings.Contains(text, "INDEXED BY pulled_until") && sorts.MatchString(step) {
				continue // what has expired is a small part
			}
			scan := strings.HasPrefix(step, "SCAN") && !allowedScans.MatchString(step)
			if scan || sorts.MatchString(step) {
				t.Errorf("%s\n\t%s", step, text)
			}
		}
	}
	if steps := plan(t, s, "SELECT * FROM pending WHERE size = 1 ORDER BY error"); len(steps) != 2 {
		t.Errorf("a plan with a scan and a sort reads %q: the test would not notice one", steps)
	}
}

func plan(t *testing.T, s *Store, text string) (steps []string) {
	t.Helper()
	rows, err := s.db.w.conn.QueryContext(ctx, "EXPLAIN QUERY PLAN "+text, make([]any, 24)...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}

// useEverything calls every method in every way that makes a statement of its own.
func useEverything(t *testing.T, s *Store) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c := state.Copy{Bucket: "b", Copy: catalog.Copy{Cluster: "c1"}}
	_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
		r := state.Record{Kind: catalog.KindBucket, Name: "b", Body: []byte(`{}`), Refs: []state.Ref{{Kind: catalog.KindPolicy, Name: "p"}}}
		check(tx.Put(r))
		r.Refs = nil
		check(tx.Put(r))
		_, err := tx.Referrers(state.Ref{Kind: catalog.KindPolicy, Name: "p"}, 0)
		check(err)
		_, err = tx.List(catalog.KindBucket, "", 1)
		check(err)
		check(tx.PutCopy(c))
		check(tx.DeleteCopy("b", "", "c1"))
		return tx.Delete(catalog.KindBucket, "b")
	})
	check(err)
	_, err = s.Catalogue().Update(ctx, func(tx state.Tx) error { return tx.PutCopy(c) })
	check(err)
	_, err = s.Catalogue().SaveCopies(ctx, c)
	check(err)
	check(s.db.w.transact(ctx, progress, func(w *writer) error { return trimChanges(w, 0) }))
	_, _, err = one[int64](s.db.w, "SELECT seq FROM changes WHERE id <= ? ORDER BY id DESC LIMIT 1", 1)
	check(err)
	check(s.Facts().PutMeta(ctx, "k", "v"))
	useQueue(t, s, check)
	usePulled(t, s, check)
	useIntents(t, s, check)
	useReads(t, s, check)
}

func useQueue(t *testing.T, s *Store, check func(error)) {
	t.Helper()
	p := state.Pending{Bucket: "b", Key: "k", Cluster: "c1"}
	gens, err := s.Queue().AddPending(ctx, p)
	check(err)
	p.Gen = gens[0]
	key := state.PendingKey{Bucket: "b", Key: "k", Cluster: "c1", Gen: p.Gen}
	_, err = s.Queue().ClaimPending(ctx, "n", 1, time.Second, time.Now())
	check(err)
	_, err = s.Queue().ExtendClaims(ctx, "n", time.Now(), key)
	check(err)
	check(s.Queue().FailPending(ctx, p))
	check(s.Queue().ReleaseClaims(ctx, "n"))
	for _, f := range filters() {
		_, err = s.Queue().RetryPending(ctx, f, time.Now())
		check(err)
		_, err = s.Queue().Unhold(ctx, f, time.Now())
		check(err)
		for _, after := range []state.PendingKey{{}, {Bucket: "b", Key: "k"}, {Bucket: "z"}} {
			_, err = s.Queue().ListPending(ctx, f, after, 1)
			check(err)
		}
	}
	_, err = s.Queue().FinishPending(ctx, key, key)
	check(err)
}

func usePulled(t *testing.T, s *Store, check func(error)) {
	t.Helper()
	p := state.Pulled{Bucket: "b", Key: "k", Cluster: "c1", Until: time.Now()}
	check(s.Pulls().PutPulled(ctx, p))
	check(s.Pulls().TouchPulled(ctx, p))
	for _, bucket := range []string{"", "b"} {
		for _, cluster := range []string{"", "c1"} {
			for _, expired := range []time.Time{{}, time.Now()} {
				_, err := s.Pulls().ListPulled(ctx, state.PulledFilter{Bucket: bucket, Cluster: cluster, Expired: expired}, 1)
				check(err)
			}
		}
	}
	check(s.Pulls().EachPulled(ctx, func(state.Pulled) error { return nil }))
	_, err := s.Pulls().PulledBytes(ctx)
	check(err)
	check(s.Pulls().DeletePulled(ctx, state.PulledKey{Bucket: "b", Key: "k", Cluster: "c1"}))
	check(s.Uploads().PutUpload(ctx, state.Upload{Bucket: "b", Key: "k", Cluster: "c1"}))
	_, err = s.Uploads().GetUpload(ctx, "b", "k", "c1")
	check(err)
	check(s.Uploads().EachUpload(ctx, func(state.Upload) error { return nil }))
	check(s.Uploads().DeleteUpload(ctx, "b", "k", "c1"))
}

func useIntents(t *testing.T, s *Store, check func(error)) {
	t.Helper()
	id, err := s.Purges().AddPurge(ctx, state.Purge{Bucket: "b", Targets: []state.PurgeTarget{{Cluster: "c1"}}})
	check(err)
	check(s.Purges().PutPurgeKeys(ctx, "b", state.PurgeKey{Cluster: "c1", Key: "k"}))
	_, err = s.Purges().Purges(ctx)
	check(err)
	_, err = s.Purges().PurgeKeys(ctx, "b", state.PurgeKey{}, 1)
	check(err)
	_, err = s.Purges().GetPurgeKey(ctx, "b", "c1", "k")
	check(err)
	check(s.Purges().FinishPurgeTarget(ctx, "b", id, "c1"))
	_, err = s.Purges().FinishPurge(ctx, "b", id)
	check(err)
	r := state.Resolution{Bucket: "b"}
	r.ID, err = s.Resolutions().AddResolution(ctx, r)
	check(err)
	_, err = s.Resolutions().SaveResolution(ctx, r)
	check(err)
	_, err = s.Resolutions().Resolutions(ctx)
	check(err)
	check(s.Resolutions().DeleteResolution(ctx, r.ID))
	a := state.DeleteAllowance{Bucket: "b", Cluster: "c1", Left: 1, Until: time.Now().Add(time.Hour)}
	check(s.Allowances().AllowDeletes(ctx, time.Now(), a))
	_, err = s.Allowances().TakeDeletes(ctx, time.Now(), a)
	check(err)
	for _, bucket := range []string{"", "b"} {
		_, err = s.Allowances().DeleteAllowances(ctx, bucket)
		check(err)
	}
	_, err = s.Verifications().UpdateVerification(ctx, "b", func(v *state.Verification) error { v.Started = time.Now(); return nil })
	check(err)
	check(s.Verifications().PutMismatches(ctx, "b", state.Mismatch{Key: "k", Cluster: "c1"}))
	for _, f := range []state.VerificationFilter{{}, {UnderWay: true}, {Damaged: true}, {UnderWay: true, Node: "n"}, {Damaged: true, UnderWay: true}} {
		_, err = s.Verifications().ListVerifications(ctx, f, "a", 1)
		check(err)
	}
	for _, f := range []state.MismatchFilter{{}, {State: "x"}} {
		_, err = s.Verifications().ListMismatches(ctx, "b", f, state.Mismatch{Key: "a"}, 1)
		check(err)
	}
	check(s.Pauses().SetPaused(ctx, false))
	_, err = s.Pauses().Paused(ctx)
	check(err)
	check(s.Verifications().SaveScrub(ctx, state.Scrub{}))
	_, err = s.Verifications().GetScrub(ctx)
	check(err)
	check(s.Reports().PutReport(ctx, "r", ""))
	_, err = s.Reports().ListReports(ctx, "r")
	check(err)
	check(s.Reports().DeleteReport(ctx, "r"))
}

func filters() (all []state.PendingFilter) {
	none, conflict := state.HoldNone, state.HoldConflict
	for _, bucket := range []string{"", "b"} {
		for _, cluster := range []string{"", "c1"} {
			for _, hold := range []*state.Hold{nil, &none, &conflict} {
				for _, failed := range []bool{false, true} {
					all = append(all, state.PendingFilter{Bucket: bucket, Cluster: cluster, Hold: hold, Failed: failed})
				}
			}
		}
	}
	return all
}

func useReads(t *testing.T, s *Store, check func(error)) {
	t.Helper()
	_, err := s.Catalogue().List(ctx, catalog.KindBucket, "", 1)
	check(err)
	_, _ = s.Catalogue().Get(ctx, catalog.KindBucket, "none")
	_, err = s.Catalogue().Records(ctx, catalog.KindBucket, "a", "b")
	check(err)
	check(s.Catalogue().Each(ctx, catalog.KindBucket, func(state.Record) error { return nil }))
	_, err = s.Catalogue().CopiesOf(ctx, "b")
	check(err)
	check(s.Catalogue().EachCopy(ctx, func(state.Copy) error { return nil }))
	check(s.Queue().EachPending(ctx, func(state.Pending) error { return nil }))
	_, err = s.Catalogue().CopySums(ctx)
	check(err)
	_, err = s.Catalogue().BucketCounts(ctx)
	check(err)
	_, err = s.Queue().NextDue(ctx)
	check(err)
	for _, bucket := range []string{"", "b"} {
		_, err = s.Queue().Backlogs(ctx, bucket)
		check(err)
	}
	_, err = s.ChangeLog().Changes(ctx, 0, 1)
	check(err)
	_, err = s.ChangeLog().Seq(ctx)
	check(err)
	_, err = s.Facts().GetMeta(ctx, "k")
	check(err)
}

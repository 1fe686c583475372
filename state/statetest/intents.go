package statetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// instances are two instances on one store, or one twice where a store serves one.
func instances(t *testing.T, fx Fixture) (a, b state.Store) {
	t.Helper()
	if fx.Another == nil {
		return fx.Store, fx.Store
	}
	b = fx.Another()
	t.Cleanup(func() { ok(t, b.Close()) })
	return fx.Store, b
}

func conflict(bucket, key, cluster string) state.Pending {
	p := pending(bucket, key, cluster)
	p.Hold, p.Foreign = state.HoldConflict, "e1 of then"
	return p
}

func purgeOf(bucket string, clusters ...string) state.Purge {
	p := state.Purge{Bucket: bucket, Mode: state.PurgeCopies, Primary: "c0", Since: at(1)}
	for _, c := range clusters {
		p.Targets = append(p.Targets, state.PurgeTarget{Cluster: c})
	}
	return p
}

func purgeKeys(t tb, s state.Store, bucket string) []state.PurgeKey {
	t.Helper()
	return must(s.Purges().PurgeKeys(ctx, bucket, state.PurgeKey{}, 0))(t)
}

func testPurges(t *testing.T, fx Fixture) {
	s := fx.Store
	equal(t, "none", len(must(s.Purges().Purges(ctx))(t)), 0)
	put(t, s, record(catalog.KindBucket, "b", `{}`))
	add(t, s, conflict("b", "k2", "c1"), conflict("b", "k1", "c1"), conflict("b", "k", "c9"), conflict("bb", "k", "c1"), pending("b", "plain", "c1"),
		state.Pending{Bucket: "b", Key: "held", Cluster: "c1", Hold: state.HoldDeletes})
	ok(t, s.Pulls().PutPulled(ctx, pulled("b", "p", "c2", 1, 1, 1), pulled("b", "", "c2", 0, 1, 1), pulled("b", "q", "c1", 1, 1, 1), pulled("bb", "p", "c2", 1, 1, 1)))
	p := state.Purge{Bucket: "b", Mode: state.PurgeAll, Primary: "c0", Since: at(5), Targets: []state.PurgeTarget{
		{Cluster: "c0", Primary: true, Verified: true, OwnedUntil: at(3), At: 7, Born: at(2)}, {Cluster: "c1", MadeBucket: true}, {Cluster: "c2", PulledOnly: true},
	}}
	update(t, s, func(tx state.Tx) (err error) { // with the bucket, in one change
		if p.ID, err = tx.AddPurge(p); err != nil {
			return err
		}
		return tx.Delete(catalog.KindBucket, "b")
	})
	equal(t, "purges", must(s.Purges().Purges(ctx))(t), []state.Purge{p})
	want := []state.PurgeKey{{Cluster: "c1", Key: "k1"}, {Cluster: "c1", Key: "k2"}, {Cluster: "c2", Key: "p", ETag: "e-p"}}
	equal(t, "keys", purgeKeys(t, s, "b"), want)
	equal(t, "first key", must(s.Purges().PurgeKeys(ctx, "b", state.PurgeKey{}, 1))(t), want[:1])
	equal(t, "keys after", must(s.Purges().PurgeKeys(ctx, "b", want[0], 9))(t), want[1:])
	equal(t, "one key", must(s.Purges().GetPurgeKey(ctx, "b", "c2", "p"))(t), want[2])
	_, err := s.Purges().GetPurgeKey(ctx, "b", "c1", "plain")
	isErr(t, err, state.ErrNotFound)
	ok(t, s.Purges().PutPurgeKeys(ctx, "b", state.PurgeKey{Cluster: "c1", Key: "k1", ETag: "x"}, state.PurgeKey{Cluster: "c1", Key: "k3"}))
	isErr(t, s.Purges().PutPurgeKeys(ctx, "none", want...), state.ErrNotFound)
	equal(t, "keys", len(purgeKeys(t, s, "b")), 4)

	ok(t, s.Purges().FinishPurgeTarget(ctx, "b", p.ID+1, "c1")) // another purge's
	ok(t, s.Purges().FinishPurgeTarget(ctx, "b", p.ID, "c1"))
	equal(t, "targets left", len(must(s.Purges().Purges(ctx))(t)[0].Targets), 2)
	equal(t, "keys left", purgeKeys(t, s, "b"), want[2:])
	equal(t, "finished by another", must(s.Purges().FinishPurge(ctx, "b", p.ID+1))(t), false)
	equal(t, "finished", must(s.Purges().FinishPurge(ctx, "b", p.ID))(t), true)
	equal(t, "finished again", must(s.Purges().FinishPurge(ctx, "b", p.ID))(t), false)
	equal(t, "none", len(must(s.Purges().Purges(ctx))(t))+len(purgeKeys(t, s, "b")), 0)

	_, err = s.Catalogue().Update(ctx, func(tx state.Tx) error {
		must(tx.AddPurge(p))(t)
		return errOfF
	})
	isErr(t, err, errOfF)
	equal(t, "rolled back", len(must(s.Purges().Purges(ctx))(t)), 0)
	for _, key := range legalKeys() {
		add(t, s, conflict("keys", key, "c1"))
	}
	must(s.Purges().AddPurge(ctx, purgeOf("keys", "c1")))(t)
	for i, k := range purgeKeys(t, s, "keys") {
		equal(t, "key", k.Key, legalKeys()[i])
	}
}

// testPurgeReplaced: what finishes an old purge does not take a new one of the bucket along.
func testPurgeReplaced(t *testing.T, fx Fixture) {
	a, b := instances(t, fx)
	add(t, a, conflict("b", "old", "c1"))
	old := must(a.Purges().AddPurge(ctx, purgeOf("b", "c1", "c2")))(t)
	must(a.Queue().Unhold(ctx, state.PendingFilter{}, at(1)))(t)
	add(t, a, conflict("b", "new", "c3"))
	fresh := must(b.Purges().AddPurge(ctx, purgeOf("b", "c3")))(t)
	if fresh == old {
		t.Fatalf("both purges have the ID %d", old)
	}
	ok(t, a.Purges().FinishPurgeTarget(ctx, "b", old, "c3"))
	equal(t, "the old one finished", must(a.Purges().FinishPurge(ctx, "b", old))(t), false)
	all := must(a.Purges().Purges(ctx))(t)
	want := purgeOf("b", "c3")
	want.ID = fresh
	equal(t, "purges", all, []state.Purge{want})
	equal(t, "keys", purgeKeys(t, a, "b"), []state.PurgeKey{{Cluster: "c3", Key: "new"}})
}

// testPurgesInterleaved: two instances add and finish purges at the same time; none that
// was added and not finished is lost.
func testPurgesInterleaved(t *testing.T, fx Fixture) {
	a, b := instances(t, fx)
	const each = 40
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, s := range []state.Store{a, b} {
		wg.Go(func() {
			for n := range each {
				bucket := fmt.Sprintf("b%d-%02d", i, n)
				id, err := s.Purges().AddPurge(ctx, purgeOf(bucket, "c1"))
				if err == nil && n%2 == 0 { // the other instance's leader, now and then
					_, err = []state.Store{b, a}[i].Purges().FinishPurge(ctx, bucket, id)
				}
				errs[i] = errors.Join(errs[i], err)
			}
		})
	}
	wg.Wait()
	ok(t, errors.Join(errs...))
	left := map[string]bool{}
	for _, p := range must(a.Purges().Purges(ctx))(t) {
		left[p.Bucket] = true
		equal(t, "targets of "+p.Bucket, len(p.Targets), 1)
	}
	for i := range 2 {
		for n := range each {
			if bucket := fmt.Sprintf("b%d-%02d", i, n); left[bucket] != (n%2 != 0) {
				t.Errorf("purge of %s is there: %v", bucket, left[bucket])
			}
		}
	}
}

func testResolutions(t *testing.T, fx Fixture) {
	a, b := instances(t, fx)
	r := state.Resolution{Bucket: "b", Key: "ké", Winner: "newest", Discard: true, Asked: at(1)}
	q := state.Resolution{Bucket: "a", Winner: "c1", Asked: at(0)}
	r.ID = must(a.Resolutions().AddResolution(ctx, r))(t)
	q.ID = must(b.Resolutions().AddResolution(ctx, q))(t)
	equal(t, "in the order of adding", must(a.Resolutions().Resolutions(ctx))(t), []state.Resolution{r, q})
	q.After, q.Resolved, q.Refused = "x/", 7, 2
	equal(t, "saved", must(a.Resolutions().SaveResolution(ctx, q))(t), true)
	equal(t, "progress", must(b.Resolutions().Resolutions(ctx))(t), []state.Resolution{r, q})
	ok(t, a.Resolutions().DeleteResolution(ctx, r.ID))
	ok(t, b.Resolutions().DeleteResolution(ctx, r.ID))
	equal(t, "saved one that is gone", must(b.Resolutions().SaveResolution(ctx, r))(t), false)
	equal(t, "left", must(b.Resolutions().Resolutions(ctx))(t), []state.Resolution{q})
}

func testAllowances(t *testing.T, fx Fixture) {
	a, b := instances(t, fx)
	of := func(bucket, prefix, cluster string, n int64, until int) state.DeleteAllowance {
		return state.DeleteAllowance{Bucket: bucket, Prefix: prefix, Cluster: cluster, Left: n, Until: at(until)}
	}
	take := func(s state.Store, now int, want state.DeleteAllowance) int64 {
		return must(s.Allowances().TakeDeletes(ctx, at(now), want))(t)
	}
	equal(t, "nothing is allowed", take(a, 0, of("b", "", "c1", 5, 99)), int64(0))
	ok(t, a.Allowances().AllowDeletes(ctx, at(0), of("b", "p/", "c2", 3, 20), of("b", "", "c1", 10, 20), of("a", "", "c1", 1, 20)))
	equal(t, "all", must(b.Allowances().DeleteAllowances(ctx, ""))(t), []state.DeleteAllowance{of("a", "", "c1", 1, 20), of("b", "", "c1", 10, 20), of("b", "p/", "c2", 3, 20)})
	equal(t, "taken", take(b, 10, of("b", "", "c1", 4, 40)), int64(4))
	equal(t, "left", must(a.Allowances().DeleteAllowances(ctx, "b"))(t), []state.DeleteAllowance{of("b", "", "c1", 6, 40), of("b", "p/", "c2", 3, 20)})
	equal(t, "the rest", take(a, 39, of("b", "", "c1", 9, 30)), int64(6))
	equal(t, "no more", take(b, 39, of("b", "", "c1", 9, 90)), int64(0))
	equal(t, "void", take(a, 20, of("b", "p/", "c2", 1, 90)), int64(0))
	ok(t, a.Allowances().AllowDeletes(ctx, at(20), of("b", "p/", "c2", 2, 50))) // the three are void
	ok(t, b.Allowances().AllowDeletes(ctx, at(30), of("b", "p/", "c2", 5, 60)))
	equal(t, "added to", must(a.Allowances().DeleteAllowances(ctx, "b"))(t)[1], of("b", "p/", "c2", 7, 60))

	ok(t, a.Allowances().AllowDeletes(ctx, at(0), of("race", "", "c1", 1000, 50)))
	var wg sync.WaitGroup
	var taken [4]int64
	for i := range taken {
		wg.Go(func() {
			for range 50 {
				n, err := []state.Store{a, b}[i%2].Allowances().TakeDeletes(ctx, at(1), of("race", "", "c1", 7, 50))
				if err != nil {
					t.Error(err)
				}
				taken[i] += n
			}
		})
	}
	wg.Wait()
	equal(t, "taken by four at once", taken[0]+taken[1]+taken[2]+taken[3], int64(1000))
}

func fullVerification(bucket string) state.Verification {
	return state.Verification{
		Bucket: bucket, Node: "n", UnderWay: true, State: "running", Deep: true, Error: "ü\n", Started: at(1), Finished: at(2),
		Objects: 3, Bytes: 4, Total: 5, TotalBytes: 6, Mismatches: 7, Repaired: 8, Unrepairable: 9,
		Done: []string{"list c1", "read \"é\""}, Step: "read p/", Cursor: "k/é", StepObjects: 10, StepBytes: 11, Damage: "lost",
	}
}

// verify sets a verification to a value.
func verify(t tb, s state.Store, v state.Verification) {
	t.Helper()
	got := must(s.Verifications().UpdateVerification(ctx, v.Bucket, func(to *state.Verification) error { *to = v; return nil }))(t)
	equal(t, "what has become of it", got, v)
}

func testVerifications(t *testing.T, fx Fixture) {
	a, b := instances(t, fx)
	_, err := a.Verifications().GetVerification(ctx, "b")
	isErr(t, err, state.ErrNotFound)
	_, err = a.Verifications().UpdateVerification(ctx, "b", func(v *state.Verification) error {
		equal(t, "a new one", *v, state.Verification{Bucket: "b"})
		return errOfF
	})
	isErr(t, err, errOfF)
	_, err = b.Verifications().GetVerification(ctx, "b")
	isErr(t, err, state.ErrNotFound)
	want := fullVerification("b")
	verify(t, a, want)
	equal(t, "read back", must(b.Verifications().GetVerification(ctx, "b"))(t), want)
	done, damaged, elsewhere := state.Verification{Bucket: "a", State: "done"}, state.Verification{Bucket: "c", Damage: "x"}, state.Verification{Bucket: "d", Node: "m", UnderWay: true}
	for _, v := range []state.Verification{done, damaged, elsewhere} {
		verify(t, b, v)
	}
	for what, q := range map[string]struct {
		f     state.VerificationFilter
		after string
		limit int
		want  []state.Verification
	}{
		"all":                 {want: []state.Verification{done, want, damaged, elsewhere}},
		"two after a":         {after: "a", limit: 2, want: []state.Verification{want, damaged}},
		"under way":           {f: state.VerificationFilter{UnderWay: true}, want: []state.Verification{want, elsewhere}},
		"under way elsewhere": {f: state.VerificationFilter{UnderWay: true, Node: "m"}, want: []state.Verification{elsewhere}},
		"damaged":             {f: state.VerificationFilter{Damaged: true}, want: []state.Verification{want, damaged}},
		"both":                {f: state.VerificationFilter{Damaged: true, UnderWay: true}, want: []state.Verification{want}},
	} {
		equal(t, what, must(a.Verifications().ListVerifications(ctx, q.f, q.after, q.limit))(t), q.want)
	}

	// Two instances ask at the same moment: one of them makes it, and both see it.
	var wg sync.WaitGroup
	for range 8 {
		for _, s := range []state.Store{a, b} {
			wg.Go(func() {
				_, err := s.Verifications().UpdateVerification(ctx, "b", func(v *state.Verification) error { v.Objects++; return nil })
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	equal(t, "edits counted", must(a.Verifications().GetVerification(ctx, "b"))(t).Objects, want.Objects+16)
	equal(t, "scrub", must(a.Verifications().GetScrub(ctx))(t), state.Scrub{})
	scrub := state.Scrub{Last: at(7), Running: true, After: "bé"}
	ok(t, a.Verifications().SaveScrub(ctx, scrub))
	equal(t, "scrub", must(b.Verifications().GetScrub(ctx))(t), scrub)
}

func testMismatches(t *testing.T, fx Fixture) {
	a, b := instances(t, fx)
	list := func(f state.MismatchFilter, after state.Mismatch, limit int) []state.Mismatch {
		return must(b.Verifications().ListMismatches(ctx, "b", f, after, limit))(t)
	}
	m := func(key, cluster, s string) state.Mismatch {
		return state.Mismatch{Key: key, Cluster: cluster, Reason: "why " + key, State: s}
	}
	isErr(t, a.Verifications().PutMismatches(ctx, "b", m("k", "c1", "repairing")), state.ErrNotFound)
	verify(t, a, fullVerification("b"))
	rows := []state.Mismatch{m("a", "c1", "repairing"), m("k", "c1", "repairing"), m("k", "c2", "repaired"), m("é/", "c1", "unrepairable")}
	ok(t, a.Verifications().PutMismatches(ctx, "b", rows[3], rows[0], rows[2], rows[1]))
	equal(t, "all", list(state.MismatchFilter{}, state.Mismatch{}, 0), rows)
	equal(t, "one after another", list(state.MismatchFilter{}, rows[1], 1), rows[2:3])
	equal(t, "repairing", list(state.MismatchFilter{State: "repairing"}, state.Mismatch{}, 0), rows[:2])
	rows[1].State = "repaired"
	ok(t, b.Verifications().PutMismatches(ctx, "b", rows[1]))
	equal(t, "repaired", list(state.MismatchFilter{State: "repaired"}, rows[0], 0), rows[1:3])
	v := fullVerification("b")
	v.Cursor = "further"
	verify(t, a, v)
	equal(t, "still there", len(list(state.MismatchFilter{}, state.Mismatch{}, 0)), 4)
	v.Started = at(100)
	verify(t, b, v)
	equal(t, "of a new verification", len(list(state.MismatchFilter{}, state.Mismatch{}, 0)), 0)
}

func testPauses(t *testing.T, fx Fixture) {
	a, b := instances(t, fx)
	equal(t, "at first", must(a.Pauses().Paused(ctx))(t), false)
	for _, on := range []bool{true, true, false} {
		ch := b.ChangeLog().Watch(t.Context())
		ok(t, a.Pauses().SetPaused(ctx, on))
		receive(t, ch)
		equal(t, "paused", must(b.Pauses().Paused(ctx))(t), on)
	}
}

func testReports(t *testing.T, fx Fixture) {
	a, b := instances(t, fx)
	for _, name := range []string{"place/1", "place/2", "placf", "plac", "place/%"} {
		ok(t, a.Reports().PutReport(ctx, name, "body of "+name))
	}
	ok(t, b.Reports().PutReport(ctx, "place/2", "other\n"))
	ok(t, b.Reports().DeleteReport(ctx, "place/%"))
	ok(t, b.Reports().DeleteReport(ctx, "none"))
	got := must(a.Reports().ListReports(ctx, "place/"))(t)
	for i := range got {
		if age := time.Since(got[i].At); age < -time.Minute || age > time.Hour {
			t.Errorf("%s is %s old", got[i].Name, age)
		}
		got[i].At = time.Time{}
	}
	equal(t, "by prefix", got, []state.Report{{Name: "place/1", Body: "body of place/1"}, {Name: "place/2", Body: "other\n"}})
	equal(t, "all", len(must(b.Reports().ListReports(ctx, ""))(t)), 4)
}

// testForgotten: what people asked for about a bucket goes with it, and with its last copy,
// but a purge stays.
func testForgotten(t *testing.T, fx Fixture) {
	s := fx.Store
	fill := func(bucket string) {
		put(t, s, record(catalog.KindBucket, bucket, `{}`))
		putCopies(t, s, state.Copy{Bucket: bucket, Copy: catalog.Copy{Cluster: "c1"}}, state.Copy{Bucket: bucket, Copy: catalog.Copy{Cluster: "c2"}})
		verify(t, s, fullVerification(bucket))
		ok(t, s.Verifications().PutMismatches(ctx, bucket, state.Mismatch{Key: "k", Cluster: "c1"}))
		must(s.Resolutions().AddResolution(ctx, state.Resolution{Bucket: bucket}))(t)
		ok(t, s.Allowances().AllowDeletes(ctx, at(0), state.DeleteAllowance{Bucket: bucket, Cluster: "c1", Left: 1, Until: at(9)}, state.DeleteAllowance{Bucket: bucket, Cluster: "c2", Left: 1, Until: at(9)}))
		must(s.Purges().AddPurge(ctx, purgeOf(bucket, "c1")))(t)
	}
	// has counts verifications, mismatches, resolutions, allowances and purges.
	has := func(bucket string) (n [5]int) {
		if _, err := s.Verifications().GetVerification(ctx, bucket); !errors.Is(err, state.ErrNotFound) {
			ok(t, err)
			n[0] = 1
		}
		n[1] = len(must(s.Verifications().ListMismatches(ctx, bucket, state.MismatchFilter{}, state.Mismatch{}, 0))(t))
		for _, r := range must(s.Resolutions().Resolutions(ctx))(t) {
			if r.Bucket == bucket {
				n[2]++
			}
		}
		n[3] = len(must(s.Allowances().DeleteAllowances(ctx, bucket))(t))
		for _, p := range must(s.Purges().Purges(ctx))(t) {
			if p.Bucket == bucket {
				n[4]++
			}
		}
		return n
	}
	fill("b")
	fill("bb")
	equal(t, "filled", has("b"), [5]int{1, 1, 1, 2, 1})
	update(t, s, func(tx state.Tx) error { return tx.DeleteCopy("b", "", "c1") })
	equal(t, "a copy less", has("b"), [5]int{1, 1, 1, 1, 1})
	update(t, s, func(tx state.Tx) error { // replaced in one change: the bucket keeps copies
		ok(t, tx.DeleteCopy("b", "", "c2"))
		return tx.PutCopy(state.Copy{Bucket: "b", Copy: catalog.Copy{Cluster: "c3"}})
	})
	equal(t, "a copy replaced", has("b"), [5]int{1, 1, 1, 0, 1})
	update(t, s, func(tx state.Tx) error { return tx.DeleteCopy("b", "", "c3") })
	equal(t, "no copy left", has("b"), [5]int{0, 0, 0, 0, 1})
	update(t, s, func(tx state.Tx) error { return tx.Delete(catalog.KindBucket, "bb") })
	equal(t, "bucket deleted", has("bb"), [5]int{0, 0, 0, 0, 1})
}

// testCopySumsModel compares the sums with the copies after random changes.
func testCopySumsModel(t *testing.T, fx Fixture) {
	s := fx.Store
	genCopy := rapid.Custom(func(t *rapid.T) state.Copy {
		return state.Copy{
			Bucket: genBucket.Draw(t, "bucket"), Objects: rapid.Int64Range(0, 9).Draw(t, "objects"), Bytes: rapid.Int64Range(0, 99).Draw(t, "bytes"),
			Copy: catalog.Copy{
				Prefix: rapid.SampledFrom([]string{"", "p/"}).Draw(t, "prefix"), Cluster: rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "cluster"),
				State: rapid.SampledFrom([]catalog.CopyState{catalog.CopySyncing, catalog.CopySynced, catalog.CopyDraining}).Draw(t, "state"),
			},
		}
	})
	genCopies := rapid.SliceOfN(genCopy, 1, 3)
	rapid.Check(t, func(t *rapid.T) {
		t.Repeat(map[string]func(*rapid.T){
			"put":  func(t *rapid.T) { putCopies(t, s, genCopies.Draw(t, "copies")...) },
			"save": func(t *rapid.T) { must(s.Catalogue().SaveCopies(ctx, genCopies.Draw(t, "copies")...))(t) },
			"delete": func(t *rapid.T) {
				c := genCopy.Draw(t, "copy")
				update(t, s, func(tx state.Tx) error { return tx.DeleteCopy(c.Bucket, c.Prefix, c.Cluster) })
			},
			"forget": func(t *rapid.T) {
				b := genBucket.Draw(t, "bucket")
				put(t, s, record(catalog.KindBucket, b, `{}`))
				update(t, s, func(tx state.Tx) error { return tx.Delete(catalog.KindBucket, b) })
			},
			"": func(t *rapid.T) {
				type pair struct {
					cluster string
					state   catalog.CopyState
				}
				want := map[pair]state.CopySum{}
				buckets := map[string]map[string]bool{}
				ok(t, s.Catalogue().EachCopy(ctx, func(c state.Copy) error {
					at := pair{c.Cluster, c.State}
					if buckets[c.Cluster] == nil {
						buckets[c.Cluster] = map[string]bool{}
					}
					buckets[c.Cluster][c.Bucket] = true
					sum := want[at]
					want[at] = state.CopySum{Cluster: c.Cluster, State: c.State, Copies: sum.Copies + 1, Objects: sum.Objects + c.Objects, Bytes: sum.Bytes + c.Bytes}
					return nil
				}))
				got := map[pair]state.CopySum{}
				for _, sum := range must(s.Catalogue().CopySums(ctx))(t) {
					got[pair{sum.Cluster, sum.State}] = sum
				}
				equal(t, "sums", got, want)
				counts := must(s.Catalogue().BucketCounts(ctx))(t)
				equal(t, "clusters with buckets", len(counts), len(buckets))
				for cluster, those := range buckets {
					equal(t, "buckets in "+cluster, counts[cluster], int64(len(those)))
				}
			},
		})
	})
}

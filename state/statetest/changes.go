package statetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

func testMeta(t *testing.T, fx Fixture) {
	s := fx.Store
	equal(t, "absent", must(s.Facts().GetMeta(ctx, "paused"))(t), "")
	for _, v := range []string{"yes", "no\n\"é\"", strings.Repeat("x", 70_000), ""} {
		ok(t, s.Facts().PutMeta(ctx, "paused", v))
		equal(t, "value", must(s.Facts().GetMeta(ctx, "paused"))(t), v)
	}
	ok(t, s.Facts().PutMeta(ctx, "other", "1"))
	equal(t, "value of another key", must(s.Facts().GetMeta(ctx, "paused"))(t), "")
}

func resourceChange(seq state.Seq, k catalog.Kind, name string, deleted bool) state.Change {
	return state.Change{Seq: seq, Kind: state.ChangeResource, Resource: k, Name: name, Deleted: deleted}
}

func testChanges(t *testing.T, fx Fixture) {
	s := fx.Store
	start := must(s.ChangeLog().Seq(ctx))(t)
	equal(t, "no changes", len(must(s.ChangeLog().Changes(ctx, start, 0))(t)), 0)
	a := update(t, s, func(tx state.Tx) error {
		ok(t, tx.Put(record(catalog.KindZone, "z", `{}`)))
		ok(t, tx.Put(record(catalog.KindBucket, "b", `{}`)))
		return tx.Put(record(catalog.KindBucket, "b", `{"again":true}`)) // told once
	})
	b := update(t, s, func(tx state.Tx) error { return tx.PutCopy(state.Copy{Bucket: "b", Copy: catalog.Copy{Cluster: "c1"}}) })
	c := update(t, s, func(tx state.Tx) error { return tx.Delete(catalog.KindZone, "z") })
	want := []state.Change{
		resourceChange(a, catalog.KindZone, "z", false), resourceChange(a, catalog.KindBucket, "b", false),
		{Seq: b, Kind: state.ChangeCopies, Name: "b"},
		resourceChange(c, catalog.KindZone, "z", true),
	}
	equal(t, "all", must(s.ChangeLog().Changes(ctx, start, 0))(t), want)
	equal(t, "after a", must(s.ChangeLog().Changes(ctx, a, 0))(t), want[2:])
	equal(t, "after the last", len(must(s.ChangeLog().Changes(ctx, c, 0))(t)), 0)
	equal(t, "at most three", must(s.ChangeLog().Changes(ctx, start, 3))(t), want[:3])
	equal(t, "at most two", must(s.ChangeLog().Changes(ctx, start, 2))(t), want[:2])
	equal(t, "one, but those of one Seq together", must(s.ChangeLog().Changes(ctx, start, 1))(t), want[:2])
	equal(t, "one", must(s.ChangeLog().Changes(ctx, a, 1))(t), want[2:3])

	// A deleted bucket takes its copies along; a deleted copy is a change of the bucket's.
	d := update(t, s, func(tx state.Tx) error { return tx.DeleteCopy("b", "", "c1") })
	equal(t, "copy deleted", must(s.ChangeLog().Changes(ctx, c, 0))(t), []state.Change{{Seq: d, Kind: state.ChangeCopies, Name: "b"}})
	e := update(t, s, func(tx state.Tx) error { return tx.Delete(catalog.KindBucket, "b") })
	equal(t, "bucket deleted", must(s.ChangeLog().Changes(ctx, d, 0))(t)[0], resourceChange(e, catalog.KindBucket, "b", true))
	seq := must(s.ChangeLog().Seq(ctx))(t)
	add(t, s, pending("b", "k", "c1"))
	drain(t, s)
	equal(t, "pending rows are no changes", must(s.ChangeLog().Seq(ctx))(t), seq)
}

// Who reads page by page sees every change once and in order, until those it asks for
// are no longer kept; then it is told so.
func testChangesTrimmed(t *testing.T, fx Fixture) {
	s := fx.Store
	start := must(s.ChangeLog().Seq(ctx))(t)
	const batch, limit = 1000, 300 // batches
	var first state.Seq
	trimmed := false
	for i := 0; i < limit && !trimmed; i++ {
		seq := update(t, s, func(tx state.Tx) error {
			for j := range batch {
				if err := tx.Put(record(catalog.KindBucket, fmt.Sprintf("b%05d", j), `{}`)); err != nil {
					return err
				}
			}
			return nil
		})
		if first == 0 {
			first = seq
		}
		last := must(s.ChangeLog().Changes(ctx, seq-1, 0))(t)
		equal(t, "changes of the last Seq", len(last), batch)
		got, err := s.ChangeLog().Changes(ctx, start, 1)
		if trimmed = err != nil; trimmed {
			isErr(t, err, state.ErrNotFound)
		} else { // all of the first Seq, or an error: never a gap
			equal(t, "first Seq", [2]int{int(got[0].Seq), len(got)}, [2]int{int(first), batch})
		}
	}
	if !trimmed {
		t.Skipf("the store keeps more than %d changes", batch*limit)
	}
}

// receive waits for a value, long enough that only a broken store runs into it.
func receive(t tb, ch <-chan struct{}) (open bool) {
	t.Helper()
	select {
	case _, open = <-ch:
		return open
	case <-time.After(30 * time.Second):
		t.Fatalf("nothing came within 30 s")
		return false
	}
}

func testWatch(t *testing.T, fx Fixture) {
	s := fx.Store
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	ch, still := s.ChangeLog().Watch(watching), s.ChangeLog().Watch(ctx)
	putCopies(t, s, state.Copy{Bucket: "b", Copy: catalog.Copy{Cluster: "c1"}})
	row := add(t, s, pending("b", "k", "c1"))[0]
	row.Attempts, row.NextAttempt = 1, at(1000)
	receive(t, ch)
	for name, commit := range map[string]func(){
		"Update": func() { put(t, s, record(catalog.KindZone, "z", `{}`)) },
		"SaveCopies": func() {
			must(s.Catalogue().SaveCopies(ctx, state.Copy{Bucket: "b", Copy: catalog.Copy{Cluster: "c1"}}))(t)
		},
		"AddPending": func() { row.Gen = add(t, s, pending("b", "k", "c1"))[0].Gen },
		"PutMeta":    func() { ok(t, s.Facts().PutMeta(ctx, "paused", "yes")) },
		"RetryFailed": func() {
			ok(t, s.Queue().FailPending(ctx, row))
			must(s.Queue().RetryPending(ctx, state.PendingFilter{}, at(0)))(t)
		},
	} {
		empty(ch)
		commit()
		if !receive(t, ch) {
			t.Fatalf("%s: the channel is closed", name)
		}
	}
	cancel()
	for receive(t, ch) { // a value may still be in it
	}
	empty(still)
	put(t, s, record(catalog.KindZone, "z", `{}`))
	receive(t, still) // another's end is not its own

	ended, cancel := context.WithCancel(ctx)
	cancel()
	for receive(t, s.ChangeLog().Watch(ended)) {
	}
	ok(t, s.Close())
	for receive(t, still) {
	}
	for receive(t, s.ChangeLog().Watch(ctx)) {
	}
}

// empty takes a value that is there already.
func empty(ch <-chan struct{}) {
	select {
	case <-ch:
	default:
	}
}

func testTryLock(t *testing.T, fx Fixture) {
	s := fx.Store
	take := func(name string) (state.Lock, bool) {
		t.Helper()
		l, got, err := s.Locks().TryLock(ctx, name)
		ok(t, err)
		return l, got
	}
	l, got := take("planner")
	equal(t, "taken", got, true)
	_, got = take("planner")
	equal(t, "taken twice", got, false)
	other, got := take("other")
	equal(t, "another lock", got, true)
	select {
	case <-l.Lost():
		t.Error("the lock is lost while it is held")
	default:
	}
	ok(t, l.Unlock())
	receive(t, l.Lost())
	l2, got := take("planner")
	equal(t, "taken after Unlock", got, true)
	ok(t, l.Unlock()) // of one that is no longer held: nothing
	_, got = take("planner")
	equal(t, "taken while another has it", got, false)

	var wg sync.WaitGroup
	var mu sync.Mutex
	takers := 0
	for range 8 {
		wg.Go(func() {
			if _, got, err := s.Locks().TryLock(ctx, "race"); err == nil && got {
				mu.Lock()
				defer mu.Unlock()
				takers++
			}
		})
	}
	wg.Wait()
	equal(t, "takers", takers, 1)
	ok(t, s.Close())
	receive(t, l2.Lost())
	receive(t, other.Lost())
	ok(t, l2.Unlock())
}

// testInstances is for stores that several instances share.
func testInstances(t *testing.T, fx Fixture) {
	if fx.Another == nil {
		t.Skip("this store serves one instance")
	}
	a, b := fx.Store, fx.Another()
	defer func() { ok(t, b.Close()) }()
	ch := b.ChangeLog().Watch(ctx)
	want := put(t, a, record(catalog.KindZone, "z", `{}`))[0]
	receive(t, ch)
	equal(t, "record", must(b.Catalogue().Get(ctx, catalog.KindZone, "z"))(t), want)
	equal(t, "Seq", must(b.ChangeLog().Seq(ctx))(t), want.Rev)

	l, got, err := a.Locks().TryLock(ctx, "planner")
	ok(t, err)
	equal(t, "taken", got, true)
	_, got, err = b.Locks().TryLock(ctx, "planner")
	ok(t, err)
	equal(t, "taken by another instance", got, false)
	ok(t, l.Unlock())
	_, got, err = b.Locks().TryLock(ctx, "planner")
	ok(t, err)
	equal(t, "taken after Unlock", got, true)
}

func testReopen(t *testing.T, fx Fixture) {
	s := fx.Store
	secret := record(catalog.KindCluster, "c1", `{"storage":{"access_key":"AKIA","secret_key":"hush"}}`, ref(catalog.KindZone, "eu"))
	cluster := put(t, s, secret)[0]
	key := put(t, s, record(catalog.KindKey, "AKIA1", `{"secret":"hush"}`))[0]
	putCopies(t, s, fullCopy("b", "", "c1"))
	add(t, s, pending("b", "free", "c1"))
	claimed := claim(t, s, "n", 1, at(0))[0]
	held := state.Pending{Bucket: "b", Key: "held", Cluster: "c1", Size: 7, Since: at(1), Attempts: 2, NextAttempt: at(5), Error: "why", Cause: "held", Hold: state.HoldDeletes, Foreign: "e1 of then", Background: true}
	held = add(t, s, held)[0]
	ok(t, s.Facts().PutMeta(ctx, "paused", "yes"))
	ok(t, s.Pulls().PutPulled(ctx, pulled("b", "pulled", "c1", 3, 1, 2)))
	upload := state.Upload{Bucket: "b", Key: "k", Cluster: "c1", Token: "t", Started: at(1)}
	ok(t, s.Uploads().PutUpload(ctx, upload))
	seq, backlogs := must(s.ChangeLog().Seq(ctx))(t), must(s.Queue().Backlogs(ctx, ""))(t)
	ok(t, s.Close())

	s = fx.Reopen()
	defer func() { ok(t, s.Close()) }()
	equal(t, "record", must(s.Catalogue().Get(ctx, catalog.KindCluster, "c1"))(t), cluster)
	equal(t, "key", must(s.Catalogue().Get(ctx, catalog.KindKey, "AKIA1"))(t), key)
	equal(t, "copies", must(s.Catalogue().CopiesOf(ctx, "b"))(t), []state.Copy{fullCopy("b", "", "c1")})
	equal(t, "pending rows", allPending(t, s), []state.Pending{claimed, held})
	equal(t, "meta", must(s.Facts().GetMeta(ctx, "paused"))(t), "yes")
	equal(t, "Seq", must(s.ChangeLog().Seq(ctx))(t), seq)
	equal(t, "backlogs", must(s.Queue().Backlogs(ctx, ""))(t), backlogs)
	equal(t, "pulled rows", listPulled(t, s, state.PulledFilter{}, 0), []state.Pulled{pulled("b", "pulled", "c1", 3, 1, 2)})
	equal(t, "upload", must(s.Uploads().GetUpload(ctx, "b", "k", "c1"))(t), upload)
	equal(t, "changes", len(must(s.ChangeLog().Changes(ctx, key.Rev, 0))(t)), 1)
	update(t, s, func(tx state.Tx) error {
		equal(t, "referrers", must(tx.Referrers(ref(catalog.KindZone, "eu"), 9))(t), []state.Ref{ref(catalog.KindCluster, "c1")})
		return nil
	})
	if next := add(t, s, pending("b", "next", "c1"))[0]; next.Gen <= held.Gen {
		t.Errorf("Gen %d after the restart, %d before", next.Gen, held.Gen)
	}
	if next := update(t, s, func(state.Tx) error { return nil }); next <= seq {
		t.Errorf("Seq %d after the restart, %d before", next, seq)
	}
}

func testClosed(t *testing.T, fx Fixture) {
	s := fx.Store
	ok(t, s.Close())
	ok(t, s.Close())
	nop := func(state.Tx) error { return nil }
	for name, call := range map[string]func() error{
		"Update":  func() error { _, err := s.Catalogue().Update(ctx, nop); return err },
		"Get":     func() error { _, err := s.Catalogue().Get(ctx, catalog.KindZone, "z"); return err },
		"Records": func() error { _, err := s.Catalogue().Records(ctx, catalog.KindZone, "z"); return err },
		"List":    func() error { _, err := s.Catalogue().List(ctx, catalog.KindZone, "", 0); return err },
		"Each": func() error {
			return s.Catalogue().Each(ctx, catalog.KindZone, func(state.Record) error { return nil })
		},
		"CopiesOf":      func() error { _, err := s.Catalogue().CopiesOf(ctx, "b"); return err },
		"EachCopy":      func() error { return s.Catalogue().EachCopy(ctx, func(state.Copy) error { return nil }) },
		"SaveCopies":    func() error { _, err := s.Catalogue().SaveCopies(ctx, state.Copy{}); return err },
		"AddPending":    func() error { _, err := s.Queue().AddPending(ctx, state.Pending{}); return err },
		"ClaimPending":  func() error { _, err := s.Queue().ClaimPending(ctx, "n", 1, time.Second, at(0)); return err },
		"ExtendClaims":  func() error { _, err := s.Queue().ExtendClaims(ctx, "n", at(0), state.PendingKey{}); return err },
		"FinishPending": func() error { _, err := s.Queue().FinishPending(ctx, state.PendingKey{}); return err },
		"FailPending":   func() error { return s.Queue().FailPending(ctx, state.Pending{}) },
		"ReleaseClaims": func() error { return s.Queue().ReleaseClaims(ctx, "n") },
		"RetryPending":  func() error { _, err := s.Queue().RetryPending(ctx, state.PendingFilter{}, at(0)); return err },
		"Unhold":        func() error { _, err := s.Queue().Unhold(ctx, state.PendingFilter{}, at(0)); return err },
		"ListPending": func() error {
			_, err := s.Queue().ListPending(ctx, state.PendingFilter{}, state.PendingKey{}, 0)
			return err
		},
		"EachPending":  func() error { return s.Queue().EachPending(ctx, func(state.Pending) error { return nil }) },
		"Backlogs":     func() error { _, err := s.Queue().Backlogs(ctx, ""); return err },
		"BacklogTotal": func() error { _, err := s.Queue().BacklogTotal(ctx); return err },
		"GetMeta":      func() error { _, err := s.Facts().GetMeta(ctx, "k"); return err },
		"PutMeta":      func() error { return s.Facts().PutMeta(ctx, "k", "v") },
		"Changes":      func() error { _, err := s.ChangeLog().Changes(ctx, 0, 0); return err },
		"Seq":          func() error { _, err := s.ChangeLog().Seq(ctx); return err },
		"PutPulled":    func() error { return s.Pulls().PutPulled(ctx, state.Pulled{}) },
		"TouchPulled":  func() error { return s.Pulls().TouchPulled(ctx, state.Pulled{}) },
		"DeletePulled": func() error { return s.Pulls().DeletePulled(ctx, state.PulledKey{}) },
		"ListPulled":   func() error { _, err := s.Pulls().ListPulled(ctx, state.PulledFilter{}, 0); return err },
		"EachPulled":   func() error { return s.Pulls().EachPulled(ctx, func(state.Pulled) error { return nil }) },
		"PulledBytes":  func() error { _, err := s.Pulls().PulledBytes(ctx); return err },
		"PutUpload":    func() error { return s.Uploads().PutUpload(ctx, state.Upload{}) },
		"GetUpload":    func() error { _, err := s.Uploads().GetUpload(ctx, "b", "k", "c"); return err },
		"DeleteUpload": func() error { return s.Uploads().DeleteUpload(ctx, "b", "k", "c") },
		"EachUpload":   func() error { return s.Uploads().EachUpload(ctx, func(state.Upload) error { return nil }) },
		"TryLock":      func() error { _, _, err := s.Locks().TryLock(ctx, "l"); return err },
	} {
		t.Run(name, func(t *testing.T) { isErr(t, call(), state.ErrUnavailable) })
	}
}

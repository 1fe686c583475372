package statetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

func testUpdate(t *testing.T, fx Fixture) {
	s := fx.Store
	first := must(s.ChangeLog().Seq(ctx))(t)
	a := update(t, s, func(tx state.Tx) error { return tx.Put(record(catalog.KindZone, "eu", `{"name":"eu"}`)) })
	b := update(t, s, func(tx state.Tx) error { return tx.Put(record(catalog.KindZone, "us", `{"name":"us"}`)) })
	empty := update(t, s, func(state.Tx) error { return nil })
	if first >= a || a >= b || b >= empty {
		t.Errorf("Seqs %d, %d, %d, %d: every Update raises it", first, a, b, empty)
	}
	equal(t, "Seq", must(s.ChangeLog().Seq(ctx))(t), empty)
	equal(t, "Rev of eu", must(s.Catalogue().Get(ctx, catalog.KindZone, "eu"))(t).Rev, a)
	equal(t, "Rev of us", must(s.Catalogue().Get(ctx, catalog.KindZone, "us"))(t).Rev, b)
}

func testUpdateRollsBack(t *testing.T, fx Fixture) {
	s := fx.Store
	before := put(t, s, record(catalog.KindBucket, "keep", `{"v":1}`, ref(catalog.KindPolicy, "p")))[0]
	putCopies(t, s, state.Copy{Bucket: "keep", Copy: catalog.Copy{Cluster: "c1"}})
	add(t, s, pending("keep", "k", "c1"))
	seq := must(s.ChangeLog().Seq(ctx))(t)

	change := func(tx state.Tx) error {
		return errors.Join(
			tx.Put(record(catalog.KindBucket, "keep", `{"v":2}`)),
			tx.Put(record(catalog.KindBucket, "new", `{}`)),
			tx.PutCopy(state.Copy{Bucket: "keep", Copy: catalog.Copy{Cluster: "c2"}}),
			tx.DeleteCopy("keep", "", "c1"),
			tx.Delete(catalog.KindBucket, "keep"),
		)
	}
	_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
		ok(t, change(tx))
		return errOfF
	})
	if err != errOfF { //nolint:errorlint // the contract is that f's error comes back as it is, unwrapped
		t.Errorf("got error %v, want f's own, unwrapped", err)
	}
	func() {
		defer func() { equal(t, "panic", recover(), any("of f")) }()
		_, _ = s.Catalogue().Update(ctx, func(tx state.Tx) error {
			ok(t, change(tx))
			panic("of f")
		})
	}()

	equal(t, "record", must(s.Catalogue().Get(ctx, catalog.KindBucket, "keep"))(t), before)
	_, err = s.Catalogue().Get(ctx, catalog.KindBucket, "new")
	isErr(t, err, state.ErrNotFound)
	equal(t, "copies", len(must(s.Catalogue().CopiesOf(ctx, "keep"))(t)), 1)
	equal(t, "pending rows", len(allPending(t, s)), 1)
	equal(t, "Seq", must(s.ChangeLog().Seq(ctx))(t), seq)
	equal(t, "changes", len(must(s.ChangeLog().Changes(ctx, seq, 0))(t)), 0)
}

// Every Update reads a counter and writes it back raised: any two that overlapped
// would lose one.
func testUpdateSerialises(t *testing.T, fx Fixture) {
	const workers, each = 8, 10
	s := fx.Store
	put(t, s, record(catalog.KindZone, "counter", "0"))
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
					r, err := tx.Get(catalog.KindZone, "counter")
					if err != nil {
						return err
					}
					n, err := strconv.Atoi(string(r.Body))
					if err != nil {
						return err
					}
					return tx.Put(record(catalog.KindZone, "counter", strconv.Itoa(n+1)))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	equal(t, "counter", string(must(s.Catalogue().Get(ctx, catalog.KindZone, "counter"))(t).Body), strconv.Itoa(workers*each))
}

func testUpdateContext(t *testing.T, fx Fixture) {
	s := fx.Store
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err := s.Catalogue().Update(ended, func(state.Tx) error { t.Error("f ran"); return nil })
	isErr(t, err, context.Canceled)

	ending, cancel := context.WithCancel(ctx)
	_, err = s.Catalogue().Update(ending, func(tx state.Tx) error {
		defer cancel()
		return tx.Put(record(catalog.KindZone, "z", `{}`))
	})
	isErr(t, err, context.Canceled)
	_, err = s.Catalogue().Get(ctx, catalog.KindZone, "z")
	isErr(t, err, state.ErrNotFound)

	// Who waits for its turn stops waiting with its context.
	waiting, cancel := context.WithCancel(ctx)
	update(t, s, func(state.Tx) error {
		done := make(chan error)
		go func() {
			_, err := s.Catalogue().Update(waiting, func(state.Tx) error { return nil })
			done <- err
		}()
		cancel()
		isErr(t, <-done, context.Canceled)
		return nil
	})
	put(t, s, record(catalog.KindZone, "z", `{}`))
}

func testResources(t *testing.T, fx Fixture) {
	s := fx.Store
	for _, k := range catalog.Kinds {
		_, err := s.Catalogue().Get(ctx, k, "x")
		isErr(t, err, state.ErrNotFound)
		_, err = s.Catalogue().Update(ctx, func(tx state.Tx) error { return tx.Delete(k, "x") })
		isErr(t, err, state.ErrNotFound)

		// The body comes back byte for byte: white space, escapes, order, unknown members.
		body := fmt.Sprintf(`{"kind": %q ,"text":"\u00e9 é 😀 \\ \"","n":1.50e3,"storage":{"region":"r"}}`, k)
		want := put(t, s, record(k, "x", body, ref(catalog.KindPolicy, "p"), ref(catalog.KindZone, "z")))[0]
		equal(t, "record", must(s.Catalogue().Get(ctx, k, "x"))(t), want)
		want = put(t, s, record(k, "x", `{"second":true}`))[0]
		equal(t, "replaced record", must(s.Catalogue().Get(ctx, k, "x"))(t), want)
	}
	for i, k := range catalog.Kinds {
		put(t, s, record(k, "a", `{"of":"a"}`), record(k, "x y\"z", `{}`))
		want := []state.Record{must(s.Catalogue().Get(ctx, k, "a"))(t), must(s.Catalogue().Get(ctx, k, "x"))(t), must(s.Catalogue().Get(ctx, k, "x y\"z"))(t)}
		equal(t, "records by name", must(s.Catalogue().Records(ctx, k, "x y\"z", "none", "x", "a"))(t), want)
		equal(t, "records of no name", len(must(s.Catalogue().Records(ctx, k))(t)), 0)
		update(t, s, func(tx state.Tx) error {
			ok(t, tx.Delete(k, "a"))
			ok(t, tx.Delete(k, "x y\"z"))
			return tx.Delete(k, "x")
		})
		_, err := s.Catalogue().Get(ctx, k, "x")
		isErr(t, err, state.ErrNotFound)
		for _, other := range catalog.Kinds[i+1:] { // of the same name, another kind
			must(s.Catalogue().Get(ctx, other, "x"))(t)
		}
	}
}

func testTxSeesItsWrites(t *testing.T, fx Fixture) {
	s := fx.Store
	put(t, s, record(catalog.KindPolicy, "b", `1`))
	seq := update(t, s, func(tx state.Tx) error {
		ok(t, tx.Put(record(catalog.KindPolicy, "a", `2`, ref(catalog.KindZone, "z"))))
		ok(t, tx.Put(record(catalog.KindPolicy, "c", `3`)))
		ok(t, tx.Delete(catalog.KindPolicy, "b"))
		_, err := tx.Get(catalog.KindPolicy, "b")
		isErr(t, err, state.ErrNotFound)
		equal(t, "body in tx", string(must(tx.Get(catalog.KindPolicy, "a"))(t).Body), `2`)
		equal(t, "list in tx", names(must(tx.List(catalog.KindPolicy, "", 0))(t)), []string{"a", "c"})
		equal(t, "page in tx", names(must(tx.List(catalog.KindPolicy, "a", 1))(t)), []string{"c"})
		equal(t, "referrers in tx", must(tx.Referrers(ref(catalog.KindZone, "z"), 9))(t), []state.Ref{ref(catalog.KindPolicy, "a")})

		ok(t, tx.PutCopy(state.Copy{Bucket: "x", Copy: catalog.Copy{Cluster: "c1"}}))
		equal(t, "copies in tx", len(must(tx.Copies("x"))(t)), 1)
		ok(t, tx.DeleteCopy("x", "", "c1"))
		equal(t, "copies in tx", len(must(tx.Copies("x"))(t)), 0)
		// Others see nothing of it yet.
		equal(t, "list outside", names(must(s.Catalogue().List(ctx, catalog.KindPolicy, "", 0))(t)), []string{"b"})
		return nil
	})
	equal(t, "list after", names(must(s.Catalogue().List(ctx, catalog.KindPolicy, "", 0))(t)), []string{"a", "c"})
	equal(t, "Rev", must(s.Catalogue().Get(ctx, catalog.KindPolicy, "a"))(t).Rev, seq)
}

func testReferrers(t *testing.T, fx Fixture) {
	s := fx.Store
	gold, eu := ref(catalog.KindPolicy, "gold"), ref(catalog.KindZone, "eu")
	put(t, s,
		record(catalog.KindBucket, "b2", `{}`, gold, eu, gold), // named twice, found once
		record(catalog.KindBucket, "b1", `{}`, gold),
		record(catalog.KindCluster, "c1", `{}`, eu),
		record(catalog.KindZone, "gold", `{}`), // of the same name, another kind
		record(catalog.KindZone, "be", `{}`, eu),
	)
	find := func(to state.Ref, limit int) (found []state.Ref) {
		t.Helper()
		update(t, s, func(tx state.Tx) error {
			found = must(tx.Referrers(to, limit))(t)
			return nil
		})
		return found
	}
	b1, b2 := ref(catalog.KindBucket, "b1"), ref(catalog.KindBucket, "b2")
	c1, be := ref(catalog.KindCluster, "c1"), ref(catalog.KindZone, "be")
	equal(t, "referrers of gold", find(gold, 10), []state.Ref{b1, b2})
	equal(t, "referrers of eu", find(eu, 10), []state.Ref{b2, c1, be})
	equal(t, "first two", find(eu, 2), []state.Ref{b2, c1})
	equal(t, "all of them", find(eu, 0), []state.Ref{b2, c1, be})
	equal(t, "referrers of nothing", len(find(ref(catalog.KindZone, "gold"), 10)), 0)

	put(t, s, record(catalog.KindBucket, "b2", `{}`, eu)) // no longer gold
	equal(t, "after a change", find(gold, 10), []state.Ref{b1})
	update(t, s, func(tx state.Tx) error { return tx.Delete(catalog.KindCluster, "c1") })
	equal(t, "after a delete", find(eu, 10), []state.Ref{b2, be})
}

func testListAndEach(t *testing.T, fx Fixture) {
	const n = 2500 // more than a page of anyone's
	s := fx.Store
	equal(t, "empty list", len(must(s.Catalogue().List(ctx, catalog.KindBucket, "", 0))(t)), 0)
	want := make([]state.Record, n)
	for i := range want {
		want[i] = record(catalog.KindBucket, fmt.Sprintf("b-%x", i*7919%n), fmt.Sprintf(`{"i":%d}`, i), ref(catalog.KindPolicy, strconv.Itoa(i%3)))
	}
	want = put(t, s, want...)
	put(t, s, record(catalog.KindPolicy, "other", `{}`))
	slices.SortFunc(want, func(a, b state.Record) int { return compareText(a.Name, b.Name) })

	equal(t, "list of all", must(s.Catalogue().List(ctx, catalog.KindBucket, "", 0))(t), want)
	equal(t, "first three", must(s.Catalogue().List(ctx, catalog.KindBucket, "", 3))(t), want[:3])
	equal(t, "next three", must(s.Catalogue().List(ctx, catalog.KindBucket, want[2].Name, 3))(t), want[3:6])
	equal(t, "after a name that is none", must(s.Catalogue().List(ctx, catalog.KindBucket, want[2].Name+"!", 1))(t), want[3:4])
	equal(t, "after the last", len(must(s.Catalogue().List(ctx, catalog.KindBucket, want[n-1].Name, 3))(t)), 0)

	var got []state.Record
	ok(t, s.Catalogue().Each(ctx, catalog.KindBucket, func(r state.Record) error {
		r.Body = slices.Clone(r.Body)
		got = append(got, r)
		return nil
	}))
	equal(t, "streamed", got, want)
}

func testEachMayUseTheStore(t *testing.T, fx Fixture) {
	s := fx.Store
	for i := range 5 {
		put(t, s, record(catalog.KindBucket, fmt.Sprint("b", i), `{}`))
	}
	count := 0
	ok(t, s.Catalogue().Each(ctx, catalog.KindBucket, func(r state.Record) error {
		count++
		put(t, s, record(catalog.KindBucket, r.Name, `{"seen":true}`))
		return s.Catalogue().Each(ctx, catalog.KindBucket, func(state.Record) error { return nil })
	}))
	equal(t, "records", count, 5)

	count = 0
	err := s.Catalogue().Each(ctx, catalog.KindBucket, func(state.Record) error { count++; return errOfF })
	equal(t, "calls before the error", count, 1)
	isErr(t, err, errOfF)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	isErr(t, s.Catalogue().Each(ended, catalog.KindBucket, func(state.Record) error { return nil }), context.Canceled)
}

func testSecrets(t *testing.T, fx Fixture) {
	s := fx.Store
	for i, body := range []string{
		`{"name":"c","storage":{"endpoint":"http://s","access_key":"AKIA","secret_key":"s3cr\u00e9t \"quoted\""}}`,
		`{"storage":{"access_key":"{env.KEY}","secret_key":"{file./run/secrets/s3}"}}`,
		`{"storage":{"access_key":"","secret_key":null}}`,
		`{"storage":null}`,
		`{"functions":[]}`,
	} {
		want := put(t, s, record(catalog.KindCluster, "c", body))[0]
		equal(t, fmt.Sprint("body ", i), string(must(s.Catalogue().Get(ctx, catalog.KindCluster, "c"))(t).Body), body)
		equal(t, "listed", must(s.Catalogue().List(ctx, catalog.KindCluster, "", 0))(t), []state.Record{want})
		update(t, s, func(tx state.Tx) error {
			equal(t, "in tx", must(tx.Get(catalog.KindCluster, "c"))(t), want)
			return nil
		})
	}
	body := `{"name":"AKIA1","secret":"hush \"quoted\"","buckets":[]}`
	want := put(t, s, record(catalog.KindKey, "AKIA1", body))[0]
	equal(t, "key", must(s.Catalogue().Get(ctx, catalog.KindKey, "AKIA1"))(t), want)
	equal(t, "keys", must(s.Catalogue().List(ctx, catalog.KindKey, "", 0))(t), []state.Record{want})
}

func testDeleteBucket(t *testing.T, fx Fixture) {
	s := fx.Store
	for _, b := range []string{"b", "bb", "a"} {
		put(t, s, record(catalog.KindBucket, b, `{}`))
		putCopies(t, s, state.Copy{Bucket: b, Copy: catalog.Copy{Cluster: "c1"}}, state.Copy{Bucket: b, Copy: catalog.Copy{Prefix: "p/", Cluster: "c2"}})
		add(t, s, pending(b, "k", "c1"), pending(b, "p/k", "c2"))
	}
	put(t, s, record(catalog.KindZone, "bb", `{}`))
	update(t, s, func(tx state.Tx) error { return tx.Delete(catalog.KindBucket, "b") })
	update(t, s, func(tx state.Tx) error { return tx.Delete(catalog.KindZone, "bb") })
	equal(t, "copies of b", len(must(s.Catalogue().CopiesOf(ctx, "b"))(t)), 0)
	equal(t, "copies of bb", len(must(s.Catalogue().CopiesOf(ctx, "bb"))(t)), 2)
	equal(t, "pending rows", keysOf(allPending(t, s)), []string{"k", "p/k", "k", "p/k"})
	equal(t, "backlogs of b", len(must(s.Queue().Backlogs(ctx, "b"))(t)), 0)
}

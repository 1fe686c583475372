package statetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

func compareText(a, b string) int { return strings.Compare(a, b) } // Go compares bytes

// fullCopy has every field set.
func fullCopy(bucket, prefix, cluster string) state.Copy {
	return state.Copy{
		Bucket: bucket,
		Copy: catalog.Copy{
			Prefix: prefix, Cluster: cluster, Primary: true, State: catalog.CopySyncing, Cursor: "a/é\t😀", Moving: true,
			MadeBucket: true, HeldDeletes: true, FormerPrimary: true, Anywhere: true, At: -1 << 62, Stopped: true,
		},
		Objects: 1 << 40, Bytes: 1 << 50, Error: "why", VerifiedAt: at(1), ScanCursor: "scan",
		OwnedUntil: at(2), DrainSince: at(3), Born: at(4), Trusts: true,
	}
}

func testCopies(t *testing.T, fx Fixture) {
	s := fx.Store
	equal(t, "no copies", len(must(s.Catalogue().CopiesOf(ctx, "b"))(t)), 0)
	want := []state.Copy{fullCopy("b", "", "c1"), fullCopy("b", "", "c2"), fullCopy("b", "p/", "c1")}
	putCopies(t, s, want[2], want[1], want[0], fullCopy("a", "", "c1"), fullCopy("bb", "", "c1"))
	equal(t, "copies", must(s.Catalogue().CopiesOf(ctx, "b"))(t), want)
	several := append([]state.Copy{fullCopy("a", "", "c1")}, want...)
	equal(t, "copies of several", must(s.Catalogue().CopiesOf(ctx, "b", "none", "a"))(t), several)
	equal(t, "copies of no bucket", len(must(s.Catalogue().CopiesOf(ctx))(t)), 0)
	update(t, s, func(tx state.Tx) error {
		equal(t, "copies in tx", must(tx.Copies("b"))(t), want)
		return nil
	})

	for st := catalog.CopyWaiting; st <= catalog.CopyFailed; st++ {
		want[1] = state.Copy{Bucket: "b", Copy: catalog.Copy{Cluster: "c2", State: st}}
		putCopies(t, s, want[1])
		equal(t, "replaced by zero values", must(s.Catalogue().CopiesOf(ctx, "b"))(t), want)
	}
	for i, set := range []func(c *state.Copy){ // each flag by itself
		func(c *state.Copy) { c.Primary = true }, func(c *state.Copy) { c.MadeBucket = true },
		func(c *state.Copy) { c.HeldDeletes = true }, func(c *state.Copy) { c.FormerPrimary = true },
		func(c *state.Copy) { c.Anywhere = true }, func(c *state.Copy) { c.Moving = true },
		func(c *state.Copy) { c.Stopped = true }, func(c *state.Copy) { c.Trusts = true },
	} {
		c := state.Copy{Bucket: "flag", Copy: catalog.Copy{Cluster: "c"}}
		set(&c)
		putCopies(t, s, c)
		equal(t, fmt.Sprint("flag ", i), must(s.Catalogue().CopiesOf(ctx, "flag"))(t), []state.Copy{c})
	}

	fine := fullCopy("b", "", "c1")
	fine.VerifiedAt = at(1).Add(999_999) // of a millisecond: cut off
	putCopies(t, s, fine)
	equal(t, "time to the millisecond", must(s.Catalogue().CopiesOf(ctx, "b"))(t)[0].VerifiedAt, at(1))
}

func testSaveCopies(t *testing.T, fx Fixture) {
	s := fx.Store
	putCopies(t, s, fullCopy("b", "", "c1"), fullCopy("b", "p/", "c1"))
	seq := must(s.ChangeLog().Seq(ctx))(t)
	changed := state.Copy{Bucket: "b", Copy: catalog.Copy{Cluster: "c1", State: catalog.CopySynced}, Objects: 7}
	n := must(s.Catalogue().SaveCopies(ctx, changed, fullCopy("b", "", "gone"), fullCopy("gone", "", "c1")))(t)
	equal(t, "written", n, 1)
	equal(t, "copies", must(s.Catalogue().CopiesOf(ctx, "b"))(t), []state.Copy{changed, fullCopy("b", "p/", "c1")})
	equal(t, "copies of a bucket that is gone", len(must(s.Catalogue().CopiesOf(ctx, "gone"))(t)), 0)

	changes := must(s.ChangeLog().Changes(ctx, seq, 0))(t)
	equal(t, "changes", changes, []state.Change{{Seq: must(s.ChangeLog().Seq(ctx))(t), Kind: state.ChangeCopies, Name: "b"}})
	seq = must(s.ChangeLog().Seq(ctx))(t)
	equal(t, "written", must(s.Catalogue().SaveCopies(ctx, fullCopy("gone", "", "c1")))(t), 0)
	equal(t, "written of none", must(s.Catalogue().SaveCopies(ctx))(t), 0)
	equal(t, "changes", len(must(s.ChangeLog().Changes(ctx, seq, 0))(t)), 0)
}

func testEachCopy(t *testing.T, fx Fixture) {
	s := fx.Store
	var want []state.Copy
	for i := range 800 {
		for _, prefix := range []string{"", "p/", "p0"} {
			want = append(want, fullCopy(fmt.Sprint("b-", i), prefix, "c1"), fullCopy(fmt.Sprint("b-", i), prefix, "c2"))
		}
	}
	putCopies(t, s, want...)
	slices.SortFunc(want, func(a, b state.Copy) int {
		return slices.Compare([]string{a.Bucket, a.Prefix, a.Cluster}, []string{b.Bucket, b.Prefix, b.Cluster})
	})
	var got []state.Copy
	ok(t, s.Catalogue().EachCopy(ctx, func(c state.Copy) error { got = append(got, c); return nil }))
	equal(t, "streamed", got, want)
	isErr(t, s.Catalogue().EachCopy(ctx, func(state.Copy) error { return errOfF }), errOfF)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	isErr(t, s.Catalogue().EachCopy(ended, func(state.Copy) error { return nil }), context.Canceled)
}

func copyAt(prefix, cluster string) state.Copy {
	return state.Copy{Bucket: "b", Copy: catalog.Copy{Prefix: prefix, Cluster: cluster}}
}

func testDeleteCopy(t *testing.T, fx Fixture) {
	s := fx.Store
	for name, c := range map[string]struct {
		copies []state.Copy
		remove func(tx state.Tx) error
		left   []string // keys pending in c1, of z, a/k, a/b/k, a0
	}{
		"the only rule": {
			[]state.Copy{copyAt("", "c1"), copyAt("", "c2")},
			func(tx state.Tx) error { return tx.DeleteCopy("b", "", "c1") },
			[]string{},
		},
		"other cluster": {
			[]state.Copy{copyAt("", "c1"), copyAt("", "c2")},
			func(tx state.Tx) error { return tx.DeleteCopy("b", "", "c2") },
			[]string{"a/b/k", "a/k", "a0", "z"},
		},
		"a rule, others stay": {
			[]state.Copy{copyAt("", "c1"), copyAt("a/", "c1"), copyAt("a/", "c2")},
			func(tx state.Tx) error { return tx.DeleteCopy("b", "a/", "c1") },
			[]string{"a0", "z"},
		},
		"the bucket's own, a rule stays": {
			[]state.Copy{copyAt("", "c1"), copyAt("a/", "c1")},
			func(tx state.Tx) error { return tx.DeleteCopy("b", "", "c1") },
			[]string{"a/b/k", "a/k"},
		},
		"a rule around another": {
			[]state.Copy{copyAt("", "c1"), copyAt("a/", "c1"), copyAt("a/", "c2"), copyAt("a/b/", "c1")},
			func(tx state.Tx) error { return tx.DeleteCopy("b", "a/", "c1") },
			[]string{"a/b/k", "a0", "z"},
		},
		"a rule whose keys fall back to one that is here": {
			[]state.Copy{copyAt("", "c1"), copyAt("a/", "c1")},
			func(tx state.Tx) error { return tx.DeleteCopy("b", "a/", "c1") },
			[]string{"a/b/k", "a/k", "a0", "z"},
		},
		"a rule as a whole, in any order": {
			[]state.Copy{copyAt("", "c1"), copyAt("a/", "c1"), copyAt("a/", "c2")},
			func(tx state.Tx) error {
				if err := tx.DeleteCopy("b", "a/", "c1"); err != nil {
					return err
				}
				return tx.DeleteCopy("b", "a/", "c2")
			},
			[]string{"a/b/k", "a/k", "a0", "z"},
		},
		"deleted and put again": {
			[]state.Copy{copyAt("", "c1")},
			func(tx state.Tx) error {
				if err := tx.DeleteCopy("b", "", "c1"); err != nil {
					return err
				}
				return tx.PutCopy(copyAt("", "c1"))
			},
			[]string{"a/b/k", "a/k", "a0", "z"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			drain(t, s)
			dropCopies(t, s, "b")
			putCopies(t, s, c.copies...)
			for _, key := range []string{"z", "a/k", "a/b/k", "a0"} {
				add(t, s, pending("b", key, "c1"), pending("b", key, "c2"), pending("bb", key, "c1"))
			}
			update(t, s, c.remove)
			equal(t, "keys left in c1", keysOf(must(s.Queue().ListPending(ctx, state.PendingFilter{Bucket: "b", Cluster: "c1"}, state.PendingKey{}, 0))(t)), c.left)
			equal(t, "rows of another bucket", len(must(s.Queue().ListPending(ctx, state.PendingFilter{Bucket: "bb"}, state.PendingKey{}, 0))(t)), 4)
		})
	}
}

// testDeleteCopyModel compares DeleteCopy with the contract's sentence, taken
// literally, key by key.
func testDeleteCopyModel(t *testing.T, fx Fixture) {
	s := fx.Store
	prefixes := []string{"", "a", "a/", "a/b", "a/b/", "é", "é/", "\U0010ffff"}
	keys := []string{"a", "a/", "a/b", "a/b/", "a/b/c", "a/c", "a0", "ab", "b", "e", "é", "é/", "é0", "ê", "\U0010ffff", "\U0010ffffx"}
	clusters := []string{"c1", "c2"}
	rapid.Check(t, func(t *rapid.T) {
		drain(t, s)
		dropCopies(t, s, "b")
		have := map[[2]string]bool{} // (prefix, cluster)
		var gone [][2]string
		for _, p := range prefixes {
			for _, c := range clusters {
				switch rapid.SampledFrom([]string{"none", "stays", "goes"}).Draw(t, p+" "+c) {
				case "stays":
					have[[2]string{p, c}] = true
				case "goes":
					gone = append(gone, [2]string{p, c})
				}
			}
		}
		var copies []state.Copy
		for _, pc := range append(slices.Collect(maps.Keys(have)), gone...) {
			copies = append(copies, copyAt(pc[0], pc[1]))
		}
		putCopies(t, s, copies...)
		var rows []state.Pending
		for _, key := range keys {
			rows = append(rows, pending("b", key, "c1"), pending("b", key, "c2"))
		}
		add(t, s, rows...)
		update(t, s, func(tx state.Tx) error {
			for _, pc := range rapid.Permutation(gone).Draw(t, "order") {
				ok(t, tx.DeleteCopy("b", pc[0], pc[1]))
			}
			return nil
		})
		for _, c := range clusters {
			var want []string
			for _, key := range keys {
				below := slices.ContainsFunc(gone, func(pc [2]string) bool { return pc[1] == c && strings.HasPrefix(key, pc[0]) })
				if rule, any := longest(have, key); !below || any && have[[2]string{rule, c}] {
					want = append(want, key)
				}
			}
			got := keysOf(must(s.Queue().ListPending(ctx, state.PendingFilter{Cluster: c}, state.PendingKey{}, 0))(t))
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("in %s: got %q, want %q (stay %v, gone %v)", c, got, want, have, gone)
			}
		}
	})
}

// longest returns the longest prefix of a key among those that have copies.
func longest(have map[[2]string]bool, key string) (prefix string, found bool) {
	for pc := range have {
		if strings.HasPrefix(key, pc[0]) && (!found || len(pc[0]) > len(prefix)) {
			prefix, found = pc[0], true
		}
	}
	return prefix, found
}

// drain removes every pending row.
func drain(t tb, s state.Store) {
	t.Helper()
	var keys []state.PendingKey
	ok(t, s.Queue().EachPending(ctx, func(p state.Pending) error { keys = append(keys, keyOf(p)); return nil }))
	must(s.Queue().FinishPending(ctx, keys...))(t)
	equal(t, "rows after draining", len(allPending(t, s)), 0)
}

func dropCopies(t tb, s state.Store, bucket string) {
	t.Helper()
	update(t, s, func(tx state.Tx) error {
		for _, c := range must(tx.Copies(bucket))(t) {
			ok(t, tx.DeleteCopy(bucket, c.Prefix, c.Cluster))
		}
		return nil
	})
}

var errOfF = errors.New("f's own error")

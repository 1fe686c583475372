package statetest

import (
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// movable is the store as a transfer sees it.
func movable(t *testing.T, fx Fixture) state.Movable {
	t.Helper()
	s, can := fx.Store.(state.Movable)
	if !can {
		t.Fatalf("%T can't be moved", fx.Store)
	}
	return s
}

func testEachMeta(t *testing.T, fx Fixture) {
	s := movable(t, fx)
	for key, value := range map[string]string{"b": "2", "a": "1", "é": "ü\n", "gone": "x"} {
		ok(t, s.Facts().PutMeta(ctx, key, value))
	}
	ok(t, s.Facts().PutMeta(ctx, "gone", ""))
	got := [][2]string{}
	ok(t, s.EachMeta(ctx, func(key, value string) error {
		got = append(got, [2]string{key, value})
		return nil
	}))
	equal(t, "meta values", got, [][2]string{{"a", "1"}, {"b", "2"}, {"é", "ü\n"}})
	isErr(t, s.EachMeta(ctx, func(string, string) error { return errOfF }), errOfF)
}

func testClear(t *testing.T, fx Fixture) {
	s := movable(t, fx)
	put(t, s, record(catalog.KindPolicy, "p", `{}`),
		record(catalog.KindBucket, "b", `{}`, ref(catalog.KindPolicy, "p")))
	putCopies(t, s, state.Copy{Bucket: "b", Copy: catalog.Copy{Cluster: "c"}})
	before := add(t, s, pending("b", "k", "c"), state.Pending{Bucket: "b", Key: "l", Cluster: "c", Size: 7})
	ok(t, s.Pulls().PutPulled(ctx, state.Pulled{Bucket: "b", Key: "k", Cluster: "c", Size: 3, UsedAt: at(0), Until: at(9)}))
	ok(t, s.Uploads().PutUpload(ctx, state.Upload{Bucket: "b", Key: "k", Cluster: "c", Token: "t", Started: at(0)}))
	ok(t, s.Passes().PutPass(ctx, pass(state.PassToken, "t")))
	ok(t, s.Facts().PutMeta(ctx, "m", "1"))
	seq := must(s.ChangeLog().Seq(ctx))(t)

	ok(t, s.Clear(ctx))

	for _, k := range catalog.Kinds {
		equal(t, string(k), names(must(s.Catalogue().List(ctx, k, "", 0))(t)), []string{})
	}
	update(t, s, func(tx state.Tx) error {
		equal(t, "referrers", len(must(tx.Referrers(ref(catalog.KindPolicy, "p"), 0))(t)), 0)
		return nil
	})
	equal(t, "copies", len(must(s.Catalogue().CopiesOf(ctx, "b"))(t)), 0)
	equal(t, "pending rows", len(allPending(t, s)), 0)
	equal(t, "backlogs", len(must(s.Queue().Backlogs(ctx, ""))(t)), 0)
	equal(t, "objects copied on demand", len(must(s.Pulls().ListPulled(ctx, state.PulledFilter{}, 0))(t)), 0)
	equal(t, "their bytes", len(must(s.Pulls().PulledBytes(ctx))(t)), 0)
	_, err := s.Uploads().GetUpload(ctx, "b", "k", "c")
	isErr(t, err, state.ErrNotFound)
	equal(t, "meta value", must(s.Facts().GetMeta(ctx, "m"))(t), "")
	equal(t, "passes", len(must(s.Passes().ListPasses(ctx, ""))(t)), 0)

	if now := must(s.ChangeLog().Seq(ctx))(t); now <= seq {
		t.Errorf("Seq is %d, was %d before", now, seq)
	}
	_, err = s.ChangeLog().Changes(ctx, seq, 0)
	isErr(t, err, state.ErrNotFound) // followers have to load everything
	if again := add(t, s, pending("b", "k", "c")); again[0].Gen <= before[1].Gen {
		t.Errorf("Gen %d was given after %d", again[0].Gen, before[1].Gen)
	}
}

func testRaiseSeq(t *testing.T, fx Fixture) {
	s := movable(t, fx)
	seq := must(s.ChangeLog().Seq(ctx))(t)
	ok(t, s.RaiseSeq(ctx, seq+1000))
	got := put(t, s, record(catalog.KindZone, "z", `{}`))[0].Rev
	if got <= seq+1000 {
		t.Errorf("the next change has Seq %d, expected one above %d", got, seq+1000)
	}
	ok(t, s.RaiseSeq(ctx, 1)) // never down
	if next := put(t, s, record(catalog.KindZone, "z", `{}`))[0].Rev; next <= got {
		t.Errorf("the next change has Seq %d, the one before %d", next, got)
	}
}

package statetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

func pulled(bucket, key, cluster string, size int64, used, until int) state.Pulled {
	return state.Pulled{Bucket: bucket, Key: key, Cluster: cluster, Size: size, ETag: "e-" + key, UsedAt: at(used), Until: at(until)}
}

func pulledKey(p state.Pulled) state.PulledKey {
	return state.PulledKey{Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster}
}

func listPulled(t tb, s state.Store, f state.PulledFilter, limit int) []state.Pulled {
	t.Helper()
	return must(s.Pulls().ListPulled(ctx, f, limit))(t)
}

func testPulled(t *testing.T, fx Fixture) {
	s := fx.Store
	equal(t, "rows of nothing", len(listPulled(t, s, state.PulledFilter{}, 0)), 0)
	equal(t, "bytes of nothing", must(s.Pulls().PulledBytes(ctx))(t), map[string]int64{})
	ok(t, s.Pulls().PutPulled(ctx))
	ok(t, s.Pulls().TouchPulled(ctx))
	ok(t, s.Pulls().DeletePulled(ctx))

	a, b, c := pulled("b", "k1", "c1", 10, 5, 50), pulled("b", "k2", "c2", 1<<40, 1, 90), pulled("a", "k1", "c1", 7, 3, 10)
	ok(t, s.Pulls().PutPulled(ctx, a, b, c))
	equal(t, "all, least recently used first", listPulled(t, s, state.PulledFilter{}, 0), []state.Pulled{b, c, a})
	equal(t, "first two", listPulled(t, s, state.PulledFilter{}, 2), []state.Pulled{b, c})
	equal(t, "bytes", must(s.Pulls().PulledBytes(ctx))(t), map[string]int64{"c1": 17, "c2": 1 << 40})

	a.Size, a.ETag, a.UsedAt, a.Until = 4, "other", at(0), at(1) // replaced, earlier or not
	ok(t, s.Pulls().PutPulled(ctx, a))
	equal(t, "replaced", listPulled(t, s, state.PulledFilter{Bucket: "b", Cluster: "c1"}, 0), []state.Pulled{a})
	equal(t, "bytes", must(s.Pulls().PulledBytes(ctx))(t), map[string]int64{"c1": 11, "c2": 1 << 40})

	ok(t, s.Pulls().TouchPulled(ctx, pulled("b", "k1", "c1", 99, 20, 0), pulled("a", "k1", "c1", 99, 2, 30), pulled("b", "none", "c1", 9, 9, 9)))
	a.UsedAt, c.Until = at(20), at(30) // raised where later, and nothing but that
	equal(t, "touched", listPulled(t, s, state.PulledFilter{}, 0), []state.Pulled{b, c, a})

	ok(t, s.Pulls().DeletePulled(ctx, pulledKey(b), pulledKey(b), state.PulledKey{Bucket: "b", Key: "k1", Cluster: "c2"}))
	equal(t, "left", listPulled(t, s, state.PulledFilter{}, 0), []state.Pulled{c, a})
	equal(t, "bytes", must(s.Pulls().PulledBytes(ctx))(t), map[string]int64{"c1": 11})

	update(t, s, func(tx state.Tx) error {
		return tx.Put(record(catalog.KindBucket, "b", `{}`))
	})
	equal(t, "left", len(listPulled(t, s, state.PulledFilter{}, 0)), 2)
	update(t, s, func(tx state.Tx) error { return tx.Delete(catalog.KindBucket, "b") })
	equal(t, "left of a deleted bucket", listPulled(t, s, state.PulledFilter{}, 0), []state.Pulled{c})
	isErr(t, s.Pulls().EachPulled(ctx, func(state.Pulled) error { return errOfF }), errOfF)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	isErr(t, s.Pulls().EachPulled(ended, func(state.Pulled) error { return nil }), context.Canceled)
}

func testEachPulled(t *testing.T, fx Fixture) {
	s := fx.Store
	var want []state.Pulled
	for i, key := range legalKeys() {
		for j := range 60 {
			want = append(want, pulled("b", key, fmt.Sprint("c", j), int64(i), i, j))
		}
	}
	ok(t, s.Pulls().PutPulled(ctx, want...))
	var got []state.Pulled
	ok(t, s.Pulls().EachPulled(ctx, func(p state.Pulled) error { got = append(got, p); return nil }))
	for _, rows := range [][]state.Pulled{got, want} {
		slices.SortFunc(rows, comparePulled)
	}
	equal(t, "streamed", got, want)
}

func comparePulled(a, b state.Pulled) int {
	return slices.Compare([]string{a.Bucket, a.Key, a.Cluster}, []string{b.Bucket, b.Key, b.Cluster})
}

// testPulledModel compares random operations with the contract taken literally.
func testPulledModel(t *testing.T, fx Fixture) {
	s := fx.Store
	genPulled := rapid.Custom(func(t *rapid.T) state.Pulled {
		return pulled(genBucket.Draw(t, "bucket"), genKey.Draw(t, "key"), rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "cluster"),
			rapid.Int64Range(0, 9).Draw(t, "size"), rapid.IntRange(1, 9).Draw(t, "used"), rapid.IntRange(1, 9).Draw(t, "until"))
	})
	genRows := rapid.SliceOfN(genPulled, 1, 4)
	rapid.Check(t, func(t *rapid.T) {
		model := map[state.PulledKey]state.Pulled{}
		for _, p := range listPulled(t, s, state.PulledFilter{}, 0) {
			ok(t, s.Pulls().DeletePulled(ctx, pulledKey(p)))
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				rows := genRows.Draw(t, "rows")
				ok(t, s.Pulls().PutPulled(ctx, rows...))
				for _, p := range rows {
					model[pulledKey(p)] = p
				}
			},
			"touch": func(t *rapid.T) {
				rows := genRows.Draw(t, "rows")
				ok(t, s.Pulls().TouchPulled(ctx, rows...))
				for _, p := range rows {
					if old, there := model[pulledKey(p)]; there {
						old.UsedAt, old.Until = later(old.UsedAt, p.UsedAt), later(old.Until, p.Until)
						model[pulledKey(p)] = old
					}
				}
			},
			"delete": func(t *rapid.T) {
				for _, p := range genRows.Draw(t, "rows") {
					ok(t, s.Pulls().DeletePulled(ctx, pulledKey(p)))
					delete(model, pulledKey(p))
				}
			},
			"": func(t *rapid.T) { checkPulled(t, s, model) },
		})
	})
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func checkPulled(t *rapid.T, s state.Store, model map[state.PulledKey]state.Pulled) {
	f := state.PulledFilter{
		Bucket:  rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "bucket"),
		Cluster: rapid.SampledFrom([]string{"", "c1", "c2"}).Draw(t, "cluster"),
	}
	if rapid.Bool().Draw(t, "expired") {
		f.Expired = at(rapid.IntRange(0, 9).Draw(t, "at"))
	}
	var want []state.Pulled
	bytes := map[string]int64{}
	for _, p := range model {
		bytes[p.Cluster] += p.Size
		if (f.Bucket == "" || p.Bucket == f.Bucket) && (f.Cluster == "" || p.Cluster == f.Cluster) &&
			(f.Expired.IsZero() || !p.Until.After(f.Expired)) {
			want = append(want, p)
		}
	}
	got := listPulled(t, s, f, 0)
	if !slices.IsSortedFunc(got, func(a, b state.Pulled) int { return a.UsedAt.Compare(b.UsedAt) }) {
		t.Fatalf("not least recently used first: %+v", got)
	}
	limit := rapid.IntRange(1, 3).Draw(t, "limit")
	equal(t, "first of them", len(listPulled(t, s, f, limit)), min(limit, len(want)))
	slices.SortFunc(got, comparePulled)
	slices.SortFunc(want, comparePulled)
	equal(t, fmt.Sprintf("rows of %+v", f), got, want)
	equal(t, "bytes", must(s.Pulls().PulledBytes(ctx))(t), bytes)
}

func testUploads(t *testing.T, fx Fixture) {
	s := fx.Store
	u := state.Upload{Bucket: "b", Key: "k", Cluster: "c1", Token: "t1\nwith \"all\" é", Started: at(1)}
	get := func() (state.Upload, error) { return s.Uploads().GetUpload(ctx, "b", "k", "c1") }
	_, err := get()
	isErr(t, err, state.ErrNotFound)
	ok(t, s.Uploads().DeleteUpload(ctx, "b", "k", "c1"))
	other := u
	other.Cluster = "c2"
	ok(t, s.Uploads().PutUpload(ctx, u))
	ok(t, s.Uploads().PutUpload(ctx, other))
	equal(t, "upload", must(get())(t), u)
	u.Token, u.Started = "t2", at(2)
	ok(t, s.Uploads().PutUpload(ctx, u))
	equal(t, "upload replaced", must(get())(t), u)

	// They outlive their bucket.
	put(t, s, record(catalog.KindBucket, "b", `{}`))
	update(t, s, func(tx state.Tx) error { return tx.Delete(catalog.KindBucket, "b") })
	equal(t, "upload of a deleted bucket", must(get())(t), u)
	ok(t, s.Uploads().DeleteUpload(ctx, "b", "k", "c1"))
	_, err = get()
	isErr(t, err, state.ErrNotFound)
	equal(t, "the other", must(s.Uploads().GetUpload(ctx, "b", "k", "c2"))(t), other)

	want := []state.Upload{other}
	for i := range 1500 {
		v := state.Upload{Bucket: fmt.Sprint("b", i%7), Key: legalKeys()[i%len(legalKeys())], Cluster: fmt.Sprint("c", i), Token: "t", Started: at(i)}
		ok(t, s.Uploads().PutUpload(ctx, v))
		want = append(want, v)
	}
	var got []state.Upload
	ok(t, s.Uploads().EachUpload(ctx, func(u state.Upload) error { got = append(got, u); return nil }))
	for _, rows := range [][]state.Upload{got, want} {
		slices.SortFunc(rows, func(a, b state.Upload) int {
			return slices.Compare([]string{a.Bucket, a.Key, a.Cluster}, []string{b.Bucket, b.Key, b.Cluster})
		})
	}
	equal(t, "streamed", got, want)
	isErr(t, s.Uploads().EachUpload(ctx, func(state.Upload) error { return errOfF }), errOfF)
}

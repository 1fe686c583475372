package verify

import (
	"crypto/sha256"
	"testing"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/storage"
)

// what one side's bytes are
type bytesOf struct {
	body      string
	integrity storage.Integrity
	md5       string // of the bytes, where the ETag is one
	damaged   bool
}

func (b bytesOf) reading(d *deep, cluster string) *reading {
	r := &reading{site: d.v.o.Sites.Get(cluster), obj: storage.Object{Key: "k", Size: 4, ETag: "etag"}}
	r.Reread = storage.Reread{Size: int64(len(b.body)), SHA256: sha256.Sum256([]byte(b.body)), MD5: b.md5, Integrity: b.integrity}
	if b.damaged {
		r.damaged = "rotten"
	}
	return r
}

// Which side is repaired, and when people have to decide.
func TestJudge(t *testing.T) {
	t.Parallel()
	good, rotten := "good", "evil"
	for _, tc := range []struct {
		name     string
		src, cp  bytesOf
		anywhere bool
		state    string // of the mismatch; "": none
		cluster  string // that it is about
	}{
		{name: "equal", src: bytesOf{body: good}, cp: bytesOf{body: good}},
		{
			name: "a false alarm at the primary: the copy has the same bytes",
			src:  bytesOf{body: good, integrity: storage.Damaged, damaged: true}, cp: bytesOf{body: good, integrity: storage.Intact},
		},
		{
			name: "a false alarm at the copy: it has the primary's bytes",
			src:  bytesOf{body: good}, cp: bytesOf{body: good, integrity: storage.Damaged, damaged: true},
		},
		{
			name: "the copy is damaged",
			src:  bytesOf{body: good, integrity: storage.Intact}, cp: bytesOf{body: rotten, integrity: storage.Damaged, damaged: true},
			state: repairing, cluster: "c2",
		},
		{
			name: "the copy is damaged, and nothing tells of the primary",
			src:  bytesOf{body: good}, cp: bytesOf{body: rotten, integrity: storage.Damaged, damaged: true},
			state: repairing, cluster: "c2",
		},
		{
			name: "the copy differs from a primary that is proven",
			src:  bytesOf{body: good, integrity: storage.Intact}, cp: bytesOf{body: rotten},
			state: repairing, cluster: "c2",
		},
		{
			name: "they differ, and nothing tells which is right",
			src:  bytesOf{body: good}, cp: bytesOf{body: rotten},
			state: unrepairable, cluster: "c2",
		},
		{
			name: "the copy is damaged where anywhere is written", anywhere: true,
			src: bytesOf{body: good, integrity: storage.Intact}, cp: bytesOf{body: rotten, integrity: storage.Damaged, damaged: true},
			state: unrepairable, cluster: "c2",
		},
		{
			name: "the primary is damaged, and the copy proves to have what was written",
			src:  bytesOf{body: rotten, integrity: storage.Damaged, damaged: true}, cp: bytesOf{body: good, integrity: storage.Intact},
			state: repaired, cluster: "c1",
		},
		{
			name: "the primary is damaged, and the copy's MD5 is its ETag",
			src:  bytesOf{body: rotten, integrity: storage.Damaged, damaged: true}, cp: bytesOf{body: good, md5: "etag"},
			state: repaired, cluster: "c1",
		},
		{
			name: "the primary is damaged, and nothing proves the copy",
			src:  bytesOf{body: rotten, integrity: storage.Damaged, damaged: true}, cp: bytesOf{body: good},
			state: unrepairable, cluster: "c1",
		},
		{
			name: "both are damaged",
			src:  bytesOf{body: rotten, integrity: storage.Damaged, damaged: true}, cp: bytesOf{body: "evi!", integrity: storage.Damaged, damaged: true},
			state: unrepairable, cluster: "c1",
		},
		{
			name: "the primary is damaged, and the copy has another size",
			src:  bytesOf{body: rotten, integrity: storage.Damaged, damaged: true}, cp: bytesOf{body: "longer", integrity: storage.Intact},
			state: unrepairable, cluster: "c1",
		},
		{
			name: "the primary is damaged where anywhere is written", anywhere: true,
			src: bytesOf{body: rotten, integrity: storage.Damaged, damaged: true}, cp: bytesOf{body: good, integrity: storage.Intact},
			state: unrepairable, cluster: "c1",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "k")
			c, err := w.join(t.Context(), bkt, true)
			w.must(err)
			d := &deep{v: w.Verifier, c: c, id: ids.CopyIn(bkt, "", "c1"), src: w.sites.Get("c1"), anywhere: tc.anywhere}
			src, cp := tc.src.reading(d, "c1"), tc.cp.reading(d, "c2")
			if tc.cluster == "c1" { // what would be written and what it would replace are there
				for _, r := range []*reading{src, cp} {
					r.obj, err = w.fakes[r.site.Name()].Reader().Stat(t.Context(), bkt, "k")
					w.must(err)
					r.Reread.Size += r.obj.Size - 4
				}
				if cp.MD5 != "" {
					cp.MD5 = src.obj.ETag
				}
			}
			w.must(d.judge(t.Context(), src, []*reading{cp}))
			keys := c.view(w.o.Now()).Keys
			if tc.state == "" {
				if len(keys) != 0 {
					t.Errorf("found %+v", keys)
				}
				return
			}
			if len(keys) != 1 || keys[0].State != tc.state || keys[0].Cluster != tc.cluster || keys[0].Reason == "" {
				t.Fatalf("found %+v, want %s in %s", keys, tc.state, tc.cluster)
			}
			w.wantNoted(tc.state, tc.cluster, src, cp)
		})
	}
}

// wantNoted checks what follows from a mismatch: a copy that is to be repaired has a row,
// a damaged primary is no source until it is repaired, and nothing else is written.
func (w *world) wantNoted(became, cluster string, src, cp *reading) {
	w.Helper()
	primary, at := ids.ObjectIn(bkt, "k", "c1"), ids.ObjectIn(bkt, "k", "c2")
	row, err := w.objects.PendingRow(w.Context(), at)
	w.must(err)
	if (row != nil) != (became == repairing) || row != nil && (!row.Damaged || !row.Background) {
		w.Errorf("row %+v", row)
	}
	if got, want := w.objects.Damaged.Is(at, cp.obj), became == repairing; got != want {
		w.Errorf("the copy is known to be damaged %v, want %v", got, want)
	}
	if got, want := w.objects.Damaged.Is(primary, src.obj), cluster == "c1" && became == unrepairable; got != want {
		w.Errorf("the primary is known to be damaged %v, want %v", got, want)
	}
	writes := len(w.fakes["c1"].Writes()) + len(w.fakes["c2"].Writes())
	if (writes == 1) != (became == repaired) || writes > 1 {
		w.Errorf("%d writes", writes)
	}
}

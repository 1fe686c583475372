package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
)

// matrixSnapshot has clusters in three zones, one of them without a storage, a policy that allows some
// and one that allows others.
func matrixSnapshot() *routing.Snapshot {
	return routing.NewSnapshot().Edit(func(e *routing.Editor) {
		for name, zone := range map[string]string{"b": "z1", "a": "z2", "c": "z1", "d": "", "functions": "z1"} {
			cl := &catalog.Cluster{Name: name}
			if zone != "" {
				cl.Zones = []string{zone}
			}
			if name != "functions" {
				cl.Storage = &catalog.Storage{Endpoint: "http://" + name}
			}
			e.PutCluster(cl)
		}
		e.PutPolicy(&catalog.Policy{Name: "few", Clusters: []string{"b", "c"}})
		e.PutPolicy(&catalog.Policy{Name: "one", Clusters: []string{"a"}})
		e.PutBucket(&catalog.Bucket{Name: "plain", Policy: "few"})
		e.PutBucket(&catalog.Bucket{Name: "mixed", Policy: "few", Prefixes: []catalog.PrefixRule{{Prefix: "p/", Policy: "one"}}})
	})
}

// The columns are the clusters with a storage, by zone and name; one without a zone comes first.
func TestMatrixColumns(t *testing.T) {
	t.Parallel()
	if got := fmt.Sprint(NewMatrixMaker(matrixSnapshot()).Columns); got != "[{d } {b z1} {c z1} {a z2}]" {
		t.Errorf("columns: %s", got)
	}
	if empty := NewMatrixMaker(routing.NewSnapshot()); empty.Columns == nil {
		t.Error("no columns are null in JSON, not an empty list")
	}
}

// A row has a letter for each column: what a copy is, or whether a policy of the bucket allows the cluster.
func TestMatrixRow(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	copyAt := func(cluster, role, state string) control.CopyStatus {
		return control.CopyStatus{Cluster: cluster, Role: role, State: state}
	}
	behind := copyAt("c", "copy", "syncing")
	behind.Pending = control.PendingStatus{Objects: 3, Bytes: 10, Oldest: &at}
	gone := copyAt("deleted", "copy", "synced")
	gone.Pending.Objects = 7
	m := NewMatrixMaker(matrixSnapshot())
	for _, c := range []struct {
		bucket string
		copies []control.CopyStatus
		want   string
	}{
		{"plain", nil, "{plain stuck few X--X []}"},
		{"mixed", nil, "{mixed stuck few X--- []}"},
		{"plain", []control.CopyStatus{copyAt("b", "primary", "synced")}, "{plain stuck few XP-X []}"},
		{"plain", []control.CopyStatus{copyAt("b", "primary", "waiting"), copyAt("a", "copy", "removing")}, "{plain stuck few XP-R []}"},
		{"plain", []control.CopyStatus{copyAt("b", "primary", "synced"), behind, gone}, "{plain stuck few XPYX [{c 3 10 AT}]}"},
		{"unknown", []control.CopyStatus{copyAt("d", "copy", "failed")}, "{unknown stuck  FXXX []}"},
	} {
		row := m.Row(c.bucket, &control.BucketStatus{State: control.BucketStuck, Copies: c.copies})
		got := fmt.Sprintf("{%s %s %s %s [", row.Bucket, row.State, row.Policy, row.Cells)
		for _, b := range row.Behind {
			if b.Oldest != &at {
				t.Errorf("%s: behind since %v", c.bucket, b.Oldest)
			}
			got += fmt.Sprintf("{%s %d %d AT}", b.Cluster, b.Objects, b.Bytes)
		}
		if got += "]}"; got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
		if row.Behind == nil {
			t.Errorf("%s: nothing behind is null in JSON, not an empty list", c.bucket)
		}
	}
}

// Every state of a copy has a letter of its own, which is none of the others.
func TestMatrixLetters(t *testing.T) {
	t.Parallel()
	seen := map[byte]bool{cellPrimary: true, cellForbidden: true, cellNotChosen: true}
	n := 0
	for s := catalog.CopyWaiting; s <= catalog.CopyFailed; s++ {
		letter, known := copyCells[s.String()]
		if !known || seen[letter] {
			t.Errorf("the letter of %s is %q", s, letter)
		}
		seen[letter] = true
		n++
	}
	if n != len(copyCells) {
		t.Errorf("there are letters for %d states, and %d states", len(copyCells), n)
	}
}

// Of many buckets a row a policy tells how many have a copy where, and how many of them are not ok.
func TestMatrixByPolicy(t *testing.T) {
	t.Parallel()
	snap := matrixSnapshot().Edit(func(e *routing.Editor) {
		for i, clusters := range [][]string{{"b", "c"}, {"b"}, {"b", "c"}, {"a"}, {"deleted"}, nil} {
			name := fmt.Sprint("n", i)
			e.PutBucket(&catalog.Bucket{Name: name, Policy: "few"})
			var copies []catalog.Copy
			for j, cl := range clusters {
				copies = append(copies, catalog.Copy{Cluster: cl, Primary: j == 0, State: catalog.CopySynced})
			}
			e.SetCopies(name, copies)
		}
		e.SetCopies("mixed", []catalog.Copy{
			{Cluster: "b", Primary: true, State: catalog.CopySynced}, {Prefix: "p/", Cluster: "a", Primary: true, State: catalog.CopySynced},
		})
	})
	s := &Search{Snapshot: snap, OriginOf: func(string) control.Origin { return control.OriginAPI }, Fleet: &Fleet{NotOK: map[string][]string{
		control.BucketStuck: {"mixed"}, control.BucketSyncing: {"n1", "n2"},
	}}}
	told := func() (text string) {
		for _, r := range s.ByPolicy().Policies {
			text += fmt.Sprintf("%s %d/%d:", r.Policy, r.Buckets, r.NotOK)
			for _, c := range r.Cells {
				text += fmt.Sprintf(" %d/%d", c.Buckets, c.NotOK)
				if !c.Allowed {
					text += "!"
				}
			}
			text += "\n"
		}
		return text
	}
	// Columns: d, b, c, a. The copy of mixed in a is of policy one; n3's is where its policy does not allow it.
	if got, want := told(), "few 8/3: 0/0! 4/3 2/1 1/0!\none 1/1: 0/0! 0/0! 0/0! 1/1\n"; got != want {
		t.Errorf("by policy:\n%swant\n%s", got, want)
	}
	s.Key = Key{State: control.BucketStuck}
	if got, want := told(), "few 1/1: 0/0! 1/1 0/0 0/0!\none 1/1: 0/0! 0/0! 0/0! 1/1\n"; got != want {
		t.Errorf("stuck ones by policy:\n%swant\n%s", got, want)
	}
	s.Key = Key{Part: "no such"}
	if got := s.ByPolicy(); got.Policies == nil || len(got.Policies) != 0 || len(got.Clusters) != 4 {
		t.Errorf("of no bucket: %+v", got)
	}
}

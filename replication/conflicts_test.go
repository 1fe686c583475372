package replication

import (
	"context"
	"errors"
	"testing"

	"github.com/fado-project/fado/control"
)

// What the status counts can be listed, with what each side holds.
func TestConflictsAreListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	for _, c := range []string{"c1", "c2"} {
		w.makeBucket(c, "bkt")
		w.put(c, "bkt", "differs", "in "+c)
	}
	w.put("c2", "bkt", "extra", "only in c2")
	awaitNextSeconds(2)
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.await("conflicts", func() bool { return w.status("bkt").Conflicts == 2 })
	list, err := w.eng.Conflicts(context.Background(), "bkt", 100)
	if err != nil || len(list) != 2 {
		t.Fatalf("conflicts %+v, %v", list, err)
	}
	differs, extra := list[0], list[1]
	if differs.Key != "differs" || differs.Reason == "" || len(differs.Copies) != 2 || differs.Copies[0].Cluster != "c1" || differs.Copies[1].Cluster != "c2" {
		t.Errorf("differs: %+v", differs)
	}
	if c := differs.Copies; len(c) == 2 && (c[0].ETag == c[1].ETag || c[0].Size != 5 || c[0].LastModified.IsZero()) {
		t.Errorf("differs: %+v", differs)
	}
	if extra.Key != "extra" || len(extra.Copies) != 1 || extra.Copies[0].Cluster != "c2" || extra.Copies[0].Size != 10 {
		t.Errorf("extra: %+v", extra)
	}
	if _, err := w.eng.Conflicts(context.Background(), "nobody", 100); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("an unknown bucket: %v", err)
	}
}

package walk

import (
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
)

// A sync that begins again sees what was written again with other headers while nobody listened,
// as a scan does.
func TestSyncSeesOtherHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	for range 3 { // time passes at the copy
		_, err := w.Fakes["c2"].Reader().Now(t.Context())
		w.Must(err)
	}
	w.Fakes["c1"].Describe(bkt, "a", "text/html") // nobody is told: the bucket was not declared, or FaDO was down
	w.Must(w.Copies.Update(t.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) {
		copyrows.Resync(&rows[copyrows.Index(rows, "", "c2")])
		return rows, nil
	}))
	w.Walks = New(w.o)      // a new process
	w.Site("c1").Feed.Set() // listening again
	w.Must(w.Syncer.Sync(t.Context(), at("c2")))
	if got := w.Fakes["c2"].Attributes(bkt, "a"); got != "text/html" {
		t.Errorf("the copy has the headers %q", got)
	}
}

// The same behind a restart in a first sync.
func TestSyncBegunAgainSeesOtherHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	for range 3 {
		_, err := w.Fakes["c2"].Reader().Now(t.Context())
		w.Must(err)
	}
	w.Must(w.Copies.Update(t.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) {
		c := &rows[copyrows.Index(rows, "", "c2")]
		c.State, c.Cursor = catalog.CopySyncing, "a"
		return rows, nil
	}))
	w.Walks = New(w.o) // a new process
	w.Fakes["c1"].Describe(bkt, "a", "text/html")
	w.Site("c1").Feed.Set() // listening again
	w.Must(w.Syncer.Sync(t.Context(), at("c2")))
	if got := w.Fakes["c2"].Attributes(bkt, "a"); got != "text/html" && w.Ctl.Router().Current(bkt, "a", "c2") {
		t.Errorf("the copy is a hit with the headers %q", got)
	}
}

// As TestScanRaisesRowsInFlight, of an object written again with other headers.
func TestScanRaisesRowsInFlightForHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	for range 3 { // time passes at the copy
		_, err := w.Fakes["c2"].Reader().Now(t.Context())
		w.Must(err)
	}
	w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "a", Cluster: "c2", Since: w.o.Now()}))
	row := w.Pending()["c2/a"]
	if _, err := w.Objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, "a", "c2"), Size: -1}); err != nil { // the worker's look
		t.Fatal(err)
	}
	w.Fakes["c1"].Describe(bkt, "a", "text/html") // unheard
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	w.Must(w.Ctl.Pending.Finish(t.Context(), row.RowKey()))
	if got := w.Fakes["c2"].Attributes(bkt, "a"); got != "text/html" && w.Ctl.Router().Current(bkt, "a", "c2") {
		t.Errorf("the scan passed it, and the copy is a hit with headers %q", got)
	}
}

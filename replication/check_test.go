package replication

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/storage"
)

// A storage that does not open in time ends the check, not the caller's patience; what can't be
// opened says why.
func TestCheckStorageIsBounded(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	e := &Engine{}
	e.core.open = func(cluster string, _ *catalog.Storage) (storage.Storage, error) {
		if cluster == "hangs" {
			<-hang
		}
		return nil, errors.New("secret_key: no such file")
	}
	if c := e.CheckStorage(t.Context(), "c1", &catalog.Storage{}); c.State != "down" || !strings.Contains(c.Error, "no such file") {
		t.Errorf("%+v", c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c := e.CheckStorage(ctx, "hangs", &catalog.Storage{}); c.State != "down" || !strings.Contains(c.Error, "time allowed") {
		t.Errorf("%+v", c)
	}
}

// The end of a transfer is foreseen by the rate so far, and not where nothing is known.
func TestTransfersForesee(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_800_000_000, 0)
	tr := Transfer{Done: 100, Total: 300, Started: began}
	if tr.foresee(began.Add(10 * time.Second)); tr.Rate != 10 || tr.ETA == nil || !tr.ETA.Equal(began.Add(30*time.Second)) {
		t.Errorf("%+v", tr)
	}
	for _, tr := range []Transfer{{Done: 0, Total: 300, Started: began}, {Done: 5, Total: -1, Started: began}, {Done: 5, Total: 9, Started: began.Add(time.Hour)}} {
		if tr.foresee(began.Add(10 * time.Second)); tr.ETA != nil {
			t.Errorf("%+v", tr)
		}
	}
}

package replication

import (
	"context"
	"errors"
	"strings"
	"testing"

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
	if c := e.Reports().CheckStorage(t.Context(), "c1", &catalog.Storage{}); c.State != "down" || !strings.Contains(c.Error, "no such file") {
		t.Errorf("%+v", c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c := e.Reports().CheckStorage(ctx, "hangs", &catalog.Storage{}); c.State != "down" || !strings.Contains(c.Error, "time allowed") {
		t.Errorf("%+v", c)
	}
}

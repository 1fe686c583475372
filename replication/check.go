package replication

import (
	"context"
	"fmt"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// StorageCheck is what was found of a storage that may not be declared yet.
type StorageCheck struct {
	State string // up, down
	Error string // why it is down, or could not be asked what it offers
	// Capabilities are nil where it could not be asked.
	Capabilities *storage.Capabilities
	// Skew is how far its clock is ahead of this instance's; nil where it does not tell.
	Skew *time.Duration
	// Took is how long it needed to answer once.
	Took time.Duration
}

// CheckStorage finds out whether a storage can be reached with its credentials, and what it
// offers. It writes nothing there, and keeps nothing.
func (r *Reports) CheckStorage(ctx context.Context, cluster string, s *catalog.Storage) StorageCheck {
	found := make(chan StorageCheck, 1) // opening reads files, and a path may hang
	go func() { found <- r.checkStorage(ctx, cluster, s) }()
	select {
	case check := <-found:
		return check
	case <-ctx.Done():
		return StorageCheck{State: routing.StorageDown.String(), Error: "no answer within the time allowed"}
	}
}

func (r *Reports) checkStorage(ctx context.Context, cluster string, s *catalog.Storage) StorageCheck {
	check := StorageCheck{State: routing.StorageDown.String()}
	opened, err := r.e.core.open(cluster, s)
	if err != nil {
		check.Error = err.Error()
		return check
	}
	defer opened.Close()
	client := opened.Reader()
	began := time.Now()
	if err := client.Ping(ctx); err != nil {
		check.Error = err.Error()
		return check
	}
	check.State, check.Took = routing.StorageUp.String(), time.Since(began)
	if clock, err := client.Now(ctx); err == nil {
		check.Skew = new(clock.Sub(r.e.core.now()))
	}
	caps, err := client.Probe(ctx, "")
	if err != nil {
		check.Error = fmt.Sprintf("what it offers could not be found out: %v", err)
		return check
	}
	check.Capabilities = &caps
	return check
}

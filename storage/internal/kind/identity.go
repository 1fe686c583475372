package kind

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fado-project/fado/storage/s3"
)

// Identity is what a server's answers tell of it: which implementation it is, and what its
// clock says.
type Identity struct {
	row   atomic.Pointer[Provider]
	clock clock
}

// Observe learns from any answer.
func (id *Identity) Observe(h http.Header) {
	id.learn(h)
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		id.clock.set(t, time.Now())
	}
}

// Now tells the server's clock, if an answer showed it a moment ago. Dates count whole seconds and have
// travelled, so it is a lower bound.
func (id *Identity) Now() (time.Time, bool) { return id.clock.now() }

// learn finds the row of the table of providers that an answer's headers point to.
func (id *Identity) learn(h http.Header) {
	known := id.row.Load()
	if known != nil && known.server != "" {
		return
	}
	server := h.Get("Server")
	for _, p := range providers {
		byHeader := p.Name == "MinIO" && (h.Get("X-Minio-Error-Code") != "" || h.Get("X-Minio-Deployment-Id") != "")
		if (p.server != "" && strings.HasPrefix(server, p.server)) || byHeader {
			id.row.Store(p)
			return
		}
	}
	if known == nil && server != "" {
		id.row.Store(providers[len(providers)-1])
	}
}

// Provider returns what is known of the server, asking it if nothing is yet.
func (id *Identity) Provider(ctx context.Context, wire *s3.Client) (*Provider, error) {
	if p := id.row.Load(); p != nil {
		return p, nil
	}
	if err := Ping(ctx, wire); err != nil && !errors.Is(err, s3.ErrDenied) {
		return nil, err
	}
	if p := id.row.Load(); p != nil {
		return p, nil
	}
	return providers[len(providers)-1], nil
}

// CantHave reports whether the server is known to take a key for another one, so that it has nothing under it.
func (id *Identity) CantHave(key string) bool {
	p := id.row.Load()
	return p != nil && p.Refuse(key, 0) != ""
}

// CutsPass reports whether the server is known to take a body that was cut off for the whole.
func (id *Identity) CutsPass() bool {
	p := id.row.Load()
	return p != nil && p.cutsPass
}

// AskForTags makes MinIO put the tags into the answer.
func (id *Identity) AskForTags(h http.Header) {
	if p := id.row.Load(); p != nil && p.tagsInAnswer {
		h.Set("X-Amz-Tagging-Directive", "ACCESS")
	}
}

// Ping makes the cheapest authenticated request.
func Ping(ctx context.Context, wire *s3.Client) error {
	err := wire.ListBuckets(ctx)
	var e *s3.Error
	if errors.As(err, &e) && e.Code == "AccessDenied" {
		return nil
	}
	return err
}

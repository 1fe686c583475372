package caddymodule

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/s3gateway/urls"
)

// DeclareEndpoint takes up how clients reach an S3 endpoint of this configuration. The endpoint
// calls it while it is provisioned, after the app; Caddy provisions sites in any order.
func (app *App) DeclareEndpoint(e *urls.Endpoint) {
	app.endpoints = append(app.endpoints, e)
	slices.SortFunc(app.endpoints, func(a, b *urls.Endpoint) int { return strings.Compare(a.URL()+" "+a.Port, b.URL()+" "+b.Port) })
}

// Endpoints returns the S3 endpoints of this configuration, by their URLs.
func (app *App) Endpoints() []*urls.Endpoint { return app.endpoints }

// Presign returns a URL by which anyone may read an object until it expires: at a cluster's storage,
// else at an S3 endpoint of this configuration that says how it is reached; "" for none.
func (app *App) Presign(cluster, bucket, key string, expires time.Duration) string {
	rt := app.runtime.Load()
	if rt == nil {
		return ""
	}
	if u := rt.engine.Gateway().Presign(cluster, bucket, key, expires); u != "" {
		return u
	}
	e := app.endpointFor(cluster)
	if e == nil {
		return ""
	}
	system, ok := app.Key(urls.SystemKey)
	if !ok {
		rt.makeURLKey() // for those that come after
		return ""
	}
	return e.Sign(system, urls.Request{Method: http.MethodGet, Bucket: bucket, Key: key}, "", expires)
}

// endpointFor returns the S3 endpoint for who reads what is in a cluster: the one there, else the
// first; nil where none says how it is reached.
func (app *App) endpointFor(cluster string) (found *urls.Endpoint) {
	for _, e := range app.endpoints {
		if e.Host != "" && (found == nil || e.Cluster == cluster && found.Cluster != cluster) {
			found = e
		}
	}
	return found
}

// URLKey returns the access key that those of signed URLs are derived from. It is made where there
// is none.
func (app *App) URLKey(ctx context.Context) (*catalog.Key, error) {
	rt := app.runtime.Load()
	if rt == nil {
		return nil, errors.New("the fado app has not started")
	}
	return rt.urlKey(ctx)
}

func (rt *runtime) urlKey(ctx context.Context) (*catalog.Key, error) {
	router := rt.control.Router()
	if k := router.Snapshot().Key(urls.SystemKey); k != nil {
		return k, nil
	}
	k := &catalog.Key{Name: urls.SystemKey, Secret: rand.Text() + rand.Text()}
	k.Normalize()
	_, err := rt.control.Resources.Create(control.WithActor(ctx, "fado"), k)
	if err != nil && !errors.Is(err, control.ErrExists) { // another instance's is as good
		return nil, fmt.Errorf("making the key that URLs are signed with: %w", err)
	}
	if k = router.Snapshot().Key(urls.SystemKey); k == nil {
		return nil, errors.New("making the key that URLs are signed with: it was removed at once")
	}
	return k, nil
}

// urlKeyEvery is how often the key is tried to be made while that fails.
const urlKeyEvery = 10 * time.Second

// makeURLKey has the key made, without waiting for it: invocations don't wait for the store.
func (rt *runtime) makeURLKey() {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if now := time.Now(); !rt.ended && now.Sub(rt.urlKeyTried) >= urlKeyEvery {
		rt.urlKeyTried = now
		rt.watched.Go(func() {
			if _, err := rt.urlKey(rt.lifetime); err != nil {
				rt.logs.logger("fado.urls").Warn("functions are given no URLs of the S3 endpoint", zap.Error(err))
			}
		})
	}
}

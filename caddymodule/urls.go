package caddymodule

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/s3gateway/urls"
)

// Endpoints are the S3 endpoints of this configuration, which declare themselves while they are
// provisioned, after the app; Caddy provisions sites in any order.
func (app *App) Endpoints() *urls.Endpoints { return &app.endpoints }

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
	e := app.endpoints.For(cluster)
	if e == nil {
		return ""
	}
	system := rt.control.Router().Snapshot().Key(urls.SystemKey)
	if system == nil {
		rt.makeURLKey() // for those that come after
		return ""
	}
	return e.Sign(system, urls.Request{Method: http.MethodGet, Bucket: bucket, Key: key}, "", expires)
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

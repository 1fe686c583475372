package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/s3gateway/urls"
)

// Functions are given URLs of an S3 endpoint where no storage of the cluster can give one. The key of those is
// made when it is needed first, once.
func TestURLsOfTheEndpoint(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	globals := fmt.Sprintf("fado {\n store sqlite %s\n}\n", filepath.Join(dir, "fado.db"))
	site := func(n int, options string) string {
		return fmt.Sprintf("http:// {\n bind unix/%s\n fado_s3 {\n region eu-1\n %s\n}\n}\n", filepath.Join(dir, fmt.Sprint(n)), options)
	}
	mustLoad(t, parse(t, globals, site(1, "anonymous b")))
	if u := running(t).Presign("edge", "reports", "q1/a b", time.Minute); u != "" {
		t.Errorf("nothing says how the endpoint is reached, and a URL is %s", u)
	}
	if running(t).Router().Snapshot().Key(urls.SystemKey) != nil {
		t.Error("a key was made that nothing needs")
	}
	mustLoad(t, parse(t, globals, site(1, "public_url https://far.example")+site(2, "cluster edge\n public_url https://near.example:9443")))
	app := running(t)
	sub := app.Control().Events().Subscribe(16)
	defer sub.Close()
	var u string
	for deadline := time.After(time.Minute); u == ""; {
		if u = app.Presign("edge", "reports", "q1/a b", time.Minute); u != "" {
			break
		}
		select {
		case <-sub.C:
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatal("no URL was made")
		}
	}
	got, err := url.Parse(u)
	if err != nil || !strings.HasPrefix(u, "https://near.example:9443/reports/q1/a%20b?") || !strings.Contains(got.Query().Get("X-Amz-Credential"), "/eu-1/s3/") || got.Query().Get("X-Amz-Expires") != "60" {
		t.Errorf("%s %v", u, err)
	}
	if u := app.Presign("elsewhere", "reports", "k", time.Minute); !strings.HasPrefix(u, "https://far.example/") {
		t.Errorf("for what is in another cluster: %q", u)
	}
	k, err := app.URLKey(context.Background())
	if err != nil || k.Secret == "" {
		t.Fatal(err)
	}
	it, err := app.Control().Resources.Get(context.Background(), catalog.KindKey, urls.SystemKey)
	if err != nil || it.Resource.(*catalog.Key).Secret != k.Secret {
		t.Errorf("the store has another key: %v", err)
	}
	// Who removes it voids every URL; the next one has another key.
	if err := app.Control().Resources.Delete(context.Background(), catalog.KindKey, urls.SystemKey, control.Precondition{}); err != nil {
		t.Fatal(err)
	}
	again, err := app.URLKey(context.Background())
	if err != nil || again.Secret == k.Secret {
		t.Errorf("after its removal: %v", err)
	}
	e := app.Endpoints().All()
	if len(e) != 2 || e[0].Sign(again, urls.Request{Method: http.MethodGet, Bucket: "b"}, "", time.Minute) == "" {
		t.Errorf("endpoints %+v", e)
	}
}

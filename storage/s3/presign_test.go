package s3

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"
	"pgregory.net/rapid"
)

// URLs are those that minio-go's signer makes, on any day.
func TestPresignAsMinioGo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c, err := Open(Config{
			Name: "c", Endpoint: rapid.SampledFrom([]string{"http://127.0.0.1:9000", "https://s3.example", "https://s3.example:8443/below/"}).Draw(t, "endpoint"),
			AccessKey: rapid.StringMatching(`[A-Za-z0-9/+=_.@-]{3,20}`).Draw(t, "access key"), SecretKey: rapid.StringN(8, 40, -1).Draw(t, "secret key"),
			Region: rapid.SampledFrom([]string{"us-east-1", "eu-1"}).Draw(t, "region"), VirtualHost: rapid.Bool().Draw(t, "virtual host"),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 2 { // the second time the key is known
			key, expires := rapid.StringN(1, 30, -1).Draw(t, "key"), time.Duration(rapid.IntRange(1, 604800).Draw(t, "expires"))*time.Second
			u := c.at.url(&Request{Method: http.MethodGet, Bucket: "bucket", Key: key})
			req := http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: make(http.Header)}
			want := signer.PreSignV4(req, c.at.AccessKey, c.at.SecretKey, "", c.at.Region, int64(expires/time.Second)).URL
			at, err := time.Parse(timeForm, want.Query().Get("X-Amz-Date"))
			if err != nil {
				t.Fatal(err)
			}
			if got := c.presignAt("bucket", key, expires, at); got != want.String() {
				t.Fatalf("%s, minio-go makes %s", got, want)
			}
		}
		day := time.Date(2026, 1, rapid.IntRange(1, 20).Draw(t, "day"), 12, 0, 0, 0, time.UTC)
		u, err := url.Parse(c.presignAt("bucket", "k", time.Second, day))
		if err != nil || u.Query().Get("X-Amz-Date")[:8] != day.Format(dayForm) || c.at.today.Load().scope[:8] != day.Format(dayForm) {
			t.Fatalf("on another day: %s %v", u, err)
		}
	})
}

package guides

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/notification"

	"github.com/fado-project/fado/internal/testenv"
)

// api is the admin API of a FaDO.
type api string

// call sends JSON, reads the answer into out if that is given, and fails on any error.
func (a api) call(t *testing.T, method, path, body string, out any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, string(a)+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, text, err)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			t.Fatal(err)
		}
	}
}

// await asks until what is asked for is so.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// webhookSite runs a FaDO that hears of changes by its webhook only, with the token "s3cret".
func webhookSite(t *testing.T) (a api, events string) {
	t.Helper()
	dir, port, admin := t.TempDir(), freePort(t), freePort(t)
	file := filepath.Join(dir, "Caddyfile")
	text := fmt.Sprintf(`{
	admin 127.0.0.1:%s
	persist_config off
	fado {
		store sqlite %s
		zone eu
		policy two {
			copies 2
		}
		replication {
			event_feed off
		}
	}
}
http://127.0.0.1:%s {
	route /events* {
		fado_events {
			token s3cret
		}
	}
}
`, admin, filepath.Join(dir, "fado.db"), port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), caddyEnv+"=1", "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	start(t, "127.0.0.1:"+admin, cmd)
	return api("http://127.0.0.1:" + admin), "http://127.0.0.1:" + port + "/events"
}

// TestSendersOfEvents: with the set-ups of docs/events.md, MinIO and versitygw tell FaDO of what
// is written at them.
func TestSendersOfEvents(t *testing.T) {
	fado, events := webhookSite(t)
	stores := map[string]*testenv.Server{
		"minio": testenv.MinIO(t, testenv.Options{Env: []string{
			"MINIO_NOTIFY_WEBHOOK_ENABLE_fado=on", "MINIO_NOTIFY_WEBHOOK_ENDPOINT_fado=" + events + "?cluster=minio", "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_fado=s3cret",
		}}),
		"versity": testenv.VersityGW(t, testenv.Options{Env: []string{"VGW_EVENT_WEBHOOK_URL=" + events + "/s3cret?cluster=versity"}}),
	}
	for name, s := range stores {
		fado.call(t, http.MethodPost, "/fado/clusters", fmt.Sprintf(`{"name":%q,"zones":["eu"],"storage":{"endpoint":%q,"access_key":%q,"secret_key":%q}}`,
			name, s.Endpoint, s.AccessKey, s.SecretKey), nil)
	}
	for name, s := range stores {
		bucket, client := "at-"+name, s.NewClient(t)
		if err := client.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
			t.Fatal(err)
		}
		if name == "minio" {
			var c notification.Configuration
			target := notification.NewConfig(notification.NewArn("minio", "sqs", "", "fado", "webhook"))
			target.AddEvents(notification.ObjectCreatedAll, notification.ObjectRemovedAll)
			c.AddQueue(target)
			if err := client.SetBucketNotification(t.Context(), bucket, c); err != nil {
				t.Fatal(err)
			}
		}
		fado.call(t, http.MethodPost, "/fado/buckets", fmt.Sprintf(`{"name":%q,"policy":"two","primary":%q}`, bucket, name), nil)
	}
	for name, s := range stores {
		bucket := "at-" + name
		await(t, bucket+" has its copies", func() bool {
			var b struct {
				Status struct {
					State  string
					Copies []struct{ State string }
				}
			}
			fado.call(t, http.MethodGet, "/fado/buckets/"+bucket, "", &b)
			return b.Status.State == "ok" && len(b.Status.Copies) == 2
		})
		key, content := "odd key+é/"+name, []byte("told by "+name)
		if _, err := s.NewClient(t).PutObject(t.Context(), bucket, key, bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		await(t, name+"'s event comes, and its object is copied", func() bool {
			var page struct{ Objects []struct{ Clusters []string } }
			fado.call(t, http.MethodGet, "/fado/buckets/"+bucket+"/objects", "", &page)
			var b struct{ Status struct{ Feed string } }
			fado.call(t, http.MethodGet, "/fado/buckets/"+bucket, "", &b)
			return len(page.Objects) == 1 && len(page.Objects[0].Clusters) == 2 && slices.Contains(page.Objects[0].Clusters, name) &&
				strings.HasPrefix(b.Status.Feed, "webhook, last event ")
		})
	}
}

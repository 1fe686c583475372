package guides

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/internal/testenv"
)

// site is a FaDO with one cluster, whose storage has the bucket data, and an endpoint where a
// function is to listen.
type site struct {
	url, port string // where to invoke; where the function listens
	content   map[string]string
	storage   *testenv.Server
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{
		port: freePort(t), storage: testenv.MinIO(t),
		content: map[string]string{"q1/sales.csv": "berlin,10\nparis,12\n", `odd "name" ;url= + ü%.csv`: strings.Repeat("x", 3<<20)},
	}
	client := s.storage.NewClient(t)
	if err := client.MakeBucket(t.Context(), "data", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	for key, text := range s.content {
		if _, err := client.PutObject(t.Context(), "data", key, strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	dir, port, admin := t.TempDir(), freePort(t), freePort(t)
	caddyfile := fmt.Sprintf(`{
	admin 127.0.0.1:%s
	persist_config off
	fado {
		store sqlite %s
		zone eu
		cluster berlin {
			zones eu
			storage %s {
				access_key %s
				secret_key %s
			}
			function http://127.0.0.1:%s
		}
		bucket data {
			primary berlin
		}
	}
}
http://127.0.0.1:%s {
	reverse_proxy {
		dynamic fado
		transport fado
		lb_policy data_aware {
			presign 15m
		}
		lb_try_duration 20s
	}
}
`, admin, filepath.Join(dir, "fado.db"), s.storage.Endpoint, s.storage.AccessKey, s.storage.SecretKey, s.port, port)
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), caddyEnv+"=1", "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	start(t, "127.0.0.1:"+admin, cmd)
	s.url = "http://127.0.0.1:" + port
	return s
}

// invoke invokes the function with headers, until it answers: FaDO may not know yet that it is
// up.
func (s *site) invoke(t *testing.T, headers http.Header) string {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/summarise", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = headers
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == http.StatusOK {
			return string(body)
		}
		if resp.StatusCode != http.StatusServiceUnavailable || time.Now().After(deadline) {
			t.Fatalf("%s: %s", resp.Status, body)
		}
	}
}

// both names the two objects.
func both() http.Header {
	return http.Header{"X-Fado-Data": {"s3://data/q1/sales.csv", "s3://data/odd%20%22name%22%20;url=%20+%20%C3%BC%25.csv"}}
}

// TestFunctionsOfTheDocs runs the functions of docs/functions.md, as they stand there, where
// their language is there.
func TestFunctionsOfTheDocs(t *testing.T) {
	s := newSite(t)
	languages := map[string]struct {
		file string
		run  []string // the file's name is appended
	}{
		"python": {"function.py", []string{"python3"}},
		"js":     {"function.mjs", []string{"node"}},
		"go":     {"main.go", []string{"go", "run"}},
	}
	whole := 0
	for _, b := range blocks(t, "functions.md") {
		l, ok := languages[b.info]
		if !ok || !strings.Contains(b.text, "PORT") {
			continue // a part of one
		}
		whole++
		t.Run(b.info, func(t *testing.T) {
			if _, err := exec.LookPath(l.run[0]); err != nil {
				t.Skip(err)
			}
			dir := t.TempDir()
			file := filepath.Join(dir, l.file)
			if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(l.run[0], append(l.run[1:], file)...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PORT="+s.port, "GOFLAGS=", "GO111MODULE=off")
			start(t, "127.0.0.1:"+s.port+"/healthz", cmd)
			if got, want := s.invoke(t, both()), fmt.Sprintf("%d bytes\n", 19+3<<20); got != want {
				t.Errorf("answered %q, want %q", got, want)
			}
		})
	}
	if whole != len(languages) {
		t.Errorf("%d functions in docs/functions.md, want one in each of %d languages", whole, len(languages))
	}
}

// TestByKeyInPython runs the part of docs/functions.md that reads with boto3, where that is there.
func TestByKeyInPython(t *testing.T) {
	part := ""
	for _, b := range blocks(t, "functions.md") {
		if b.info == "python" && strings.Contains(b.text, "def read(") {
			part = b.text
		}
	}
	if part == "" {
		t.Fatal("docs/functions.md has no such part")
	}
	python := ""
	for _, p := range []string{"python3", "/usr/bin/python3"} { // where Debian's packages are
		if exec.Command(p, "-c", "import boto3").Run() == nil {
			python = p
		}
	}
	if python == "" {
		t.Skip("python3-boto3 is not installed")
	}
	s := newSite(t)
	program := "import boto3, botocore.config, os, urllib.parse\n" + part +
		fmt.Sprintf("print(len(read({'X-FaDO-Storage': %q, 'X-FaDO-Storage-Bucket': 'data', 'X-FaDO-Object': 'q1/sales%%2Ecsv'}).read()))\n", s.storage.Endpoint)
	cmd := exec.CommandContext(t.Context(), python, "-c", program)
	cmd.Env = append(os.Environ(), "S3_ACCESS_KEY="+s.storage.AccessKey, "S3_SECRET_KEY="+s.storage.SecretKey)
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "19\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// TestFunctionsFramework runs examples/functions-framework behind FaDO: a function of Google's
// runtime reads its inputs by the URLs it is told.
func TestFunctionsFramework(t *testing.T) {
	s := newSite(t)
	program := filepath.Join(t.TempDir(), "function")
	build(t, "../functions-framework/cmd", program)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "HOST=127.0.0.1", "PORT="+s.port, "FUNCTION_TARGET=Summarise")
	start(t, "127.0.0.1:"+s.port, cmd)
	var got []struct {
		Input, SHA256 string
		Local         bool
		Bytes         int64
	}
	if err := json.Unmarshal([]byte(s.invoke(t, both())), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 {
		t.Fatalf("%+v", got)
	}
	for i, key := range []string{"q1/sales.csv", `odd "name" ;url= + ü%.csv`} {
		sum := sha256.Sum256([]byte(s.content[key]))
		if g := got[i]; g.SHA256 != hex.EncodeToString(sum[:]) || !g.Local || g.Bytes != int64(len(s.content[key])) || !strings.HasPrefix(g.Input, "s3://data/") {
			t.Errorf("input %d: %+v", i, g)
		}
	}
}

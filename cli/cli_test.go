package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	_ "github.com/fado-project/fado/admin"
	_ "github.com/fado-project/fado/caddymodule"
	"github.com/fado-project/fado/cli"
	"github.com/fado-project/fado/internal/testenv"
)

// serve runs Caddy with FaDO until the end of the test, and returns the address of its admin
// endpoint.
func serve(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"} {
		t.Setenv(name, t.TempDir())
	}
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("localhost:%d", port)
	config := fmt.Sprintf(`{"admin":{"listen":%q,"config":{"persist":false}},"logging":{"logs":{"default":{"level":"ERROR"}}},
		"apps":{"fado":{"store":{"type":"sqlite","path":%q},"node":"n1","zones":[{"name":"declared"}],"replication":{"disabled":true}}}}`,
		address, filepath.Join(t.TempDir(), "fado.db"))
	if err := caddy.Load([]byte(config), true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return address
}

// fado runs "caddy fado" with arguments.
func fado(stdin string, args ...string) (stdout, stderr string, err error) {
	cmd := &cobra.Command{Use: "fado", SilenceUsage: true}
	cmd.AddCommand(cli.Commands()...)
	var out, errOut bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	err = cmd.ExecuteContext(context.Background())
	return out.String(), errOut.String(), err
}

const documentYAML = `
fado: 1
zones:
- name: eu
clusters:
- name: paris
  zones: [eu]
  storage: {endpoint: "http://127.0.0.1:9", access_key: a, secret_key: hidden}
  functions: [{url: "http://127.0.0.1:9"}]
policies:
- {name: keep, zones: [eu]}
`

const bucketsJSON = `{"fado":1,"buckets":[{"name":"photos","policy":"keep","primary":"paris"}]}`

// Every command works against a running FaDO; tables fit, JSON is JSON, and the exit status
// says what scripts ask.
func TestCommands(t *testing.T) {
	address := serve(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), documentYAML)
	write(t, filepath.Join(dir, "below", "b.json"), bucketsJSON)
	write(t, filepath.Join(dir, "README"), "no document")
	ask := func(want string, args ...string) string {
		t.Helper()
		out, errOut, err := fado("", append(args, "--address", address)...)
		if fmt.Sprint(err) != want {
			t.Fatalf("%v: %v, want %s\n%s%s", args, err, want, out, errOut)
		}
		if strings.Contains(errOut, "exiting") {
			t.Errorf("%v calls its status an error: %s", args, errOut)
		}
		if strings.Contains(out, "hidden") {
			t.Errorf("%v shows a secret:\n%s", args, out)
		}
		return out
	}
	const ok, differs = "<nil>", "exiting with status 2"

	has(t, ask(differs, "plan", "-f", dir), "+ zone eu", "+ bucket photos", `secret_key: "***"`)
	ask("standard input is no terminal to ask at: give --yes to go on without being asked", "apply", "-f", dir)
	has(t, ask(ok, "apply", "-f", dir, "--yes"), "Applied: 4 changes")
	has(t, ask(ok, "plan", "-f", dir), "Nothing to change")
	exported := ask(ok, "export")
	has(t, exported, "fado: 1", "- name: photos", `secret_key: '***'`)
	out, _, err := fado(exported, "plan", "-f", "-", "--address", address)
	if err != nil {
		t.Errorf("a plan of an export: %v\n%s", err, out)
	}
	has(t, ask(ok, "export", "--all", "--json"), `"name": "declared"`)

	for _, args := range [][]string{
		{"buckets"},
		{"bucket", "photos"},
		{"clusters"},
		{"policies"},
		{"zones"},
		{"keys"},
		{"failures"},
		{"failures", "--retry"},
		{"conflicts", "photos"},
		{"audit", "--bucket", "photos"},
		{"pause"},
		{"resume"},
		{"drain", "paris"},
		{"undrain", "paris"},
		{"verify", "photos", "--show"},
	} {
		if _, _, err := fado("", append(args, "--address", address)...); err != nil && !strings.Contains(err.Error(), "replication is off") {
			t.Errorf("%v: %v", args, err)
			continue
		}
		for line := range strings.Lines(ask2(t, address, args...)) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 {
				t.Errorf("%v prints %d columns: %s", args, n, line)
			}
		}
		out, _, err := fado("", append(args, "--address", address, "--json")...)
		if err == nil && !json.Valid([]byte(out)) {
			t.Errorf("%v --json prints %s", args, out)
		}
	}
	has(t, ask(ok, "zones"), "ZONE", "declared", "config")
	has(t, ask(ok, "keys", "add", "team-a", "--buckets", "team-a-*,logs", "--read-only", "--expires-in", "90d"), "AWS_ACCESS_KEY_ID=team-a", "AWS_SECRET_ACCESS_KEY=")
	has(t, ask(ok, "keys"), "team-a", "team-a-* logs", "read")
	has(t, ask(ok, "keys", "add", "--json"), `"secret"`)
	has(t, ask(ok, "keys", "remove", "team-a"), "removed")
	ask(`"remove": expected add [<id>] or remove <id>`, "keys", "remove")
	ask(`--expires-in "soon": expected a duration above 0, such as 90d or 12h`, "keys", "add", "--expires-in", "soon")
	has(t, ask(differs, "route", "photos"), "refused")
	ask(differs, "status") // the storage can't be reached
	ask(`bucket "none": not found`, "bucket", "none")
	has(t, ask2(t, address, "deletes", "photos", "maybe"), "")
	audited(t, ask(ok, "audit", "export"))
}

// audited holds an export of the audit against its verification, as it is and changed.
func audited(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "audit.ndjson")
	write(t, file, text)
	out, _, err := fado("", "audit", "verify", file)
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	has(t, out, "Nothing is wrong.", "records, from 1 to ")
	out, _, err = fado(strings.Replace(text, `"photos"`, `"phot0s"`, 1), "audit", "verify", "-")
	if err == nil || err.Error() != "exiting with status 2" {
		t.Errorf("a changed record: %v", err)
	}
	has(t, out, "was changed: its hash is not that of what it says")
	if out, _, err = fado("", "audit", "verify", file, "--head", "1000:abc", "--json"); err == nil || !json.Valid([]byte(out)) {
		t.Errorf("a missing end: %v\n%s", err, out)
	}
	key, _, err := fado("", "audit", "key", "fado.test")
	_, public, made := strings.Cut(key, "public:  ")
	if err != nil || !made {
		t.Errorf("%s, %v", key, err)
	}
	if out, _, err = fado("", "audit", "verify", file, "--key", strings.TrimSpace(public)); err == nil || !strings.Contains(out, "no checkpoint is signed by a key that was given") {
		t.Errorf("%s, %v", out, err)
	}
	for _, args := range [][]string{
		{"audit", "verify"},
		{"audit", "verify", filepath.Join(t.TempDir(), "none")},
		{"audit", "verify", file, "--head", "7"},
		{"audit", "verify", file, "--key", "rubbish"},
		{"audit", "key", "two words"},
	} {
		if _, _, err := fado("", args...); err == nil {
			t.Errorf("%v succeeds", args)
		}
	}
}

// ask2 returns what a command prints, whatever its status.
func ask2(t *testing.T, address string, args ...string) string {
	t.Helper()
	out, _, _ := fado("", append(args, "--address", address)...)
	return out
}

func has(t *testing.T, out string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("%q is not in\n%s", text, out)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What is wrong with a document of several files is named with the file.
func TestErrorsNameTheFile(t *testing.T) {
	address := serve(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), "fado: 1\nzones:\n- name: eu\n")
	write(t, filepath.Join(dir, "b.yaml"), "fado: 1\nzones:\n- {name: us, parent: none}\n")
	_, _, err := fado("", "plan", "-f", dir, "--address", address)
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "b.yaml")+": zones[0].parent: ") {
		t.Errorf("%v", err)
	}
	write(t, filepath.Join(dir, "b.yaml"), "fado: 1\nzones: [{nam: us}]\n")
	if _, _, err = fado("", "plan", "-f", dir, "--address", address); err == nil || !strings.Contains(err.Error(), "b.yaml: zones[0]") {
		t.Errorf("%v", err)
	}
	for _, args := range [][]string{{"plan"}, {"plan", "-f", filepath.Join(dir, "none")}, {"plan", "-f", t.TempDir()}, {"status", "--address", "localhost:1"}} {
		if _, _, err := fado("", args...); err == nil {
			t.Errorf("%v succeeds", args)
		}
	}
}

// Events are narrowed down by the API, which says what it does not know.
func TestEventsAreNarrowedDown(t *testing.T) {
	if _, _, err := fado("", "events", "--type", "copy,copies", "--address", serve(t)); err == nil || !strings.Contains(err.Error(), `"copies": expected one of`) {
		t.Errorf("%v", err)
	}
	streams := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if streams++; streams == 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"error":"FaDO is gone"}`)
			return
		}
		fmt.Fprintf(w, "event: copy\ndata: {\"type\":\"copy\",\"name\":%q}\n\n", r.URL.RawQuery)
	}))
	defer srv.Close()
	// A stream that ends, as by a reload, is followed by another one; that there is none is an error.
	out, errOut, err := fado("", "events", "--type", "copy", "--bucket", "photos", "--address", strings.TrimPrefix(srv.URL, "http://"))
	if err == nil || err.Error() != "FaDO is gone" || strings.Count(out, "bucket=photos&type=copy") != 2 || !strings.Contains(errOut, "asking for another one") {
		t.Errorf("%v: %s%s", err, out, errOut)
	}
}

// looks counts how often a text is printed, and ends a command at the second time.
type looks struct {
	bytes.Buffer
	text string
	end  context.CancelFunc
}

func (l *looks) Write(p []byte) (int, error) {
	n, err := l.Buffer.Write(p)
	if strings.Count(l.String(), l.text) == 2 {
		l.end()
	}
	return n, err
}

// With --watch lists are shown again, until there is nothing to wait for or the user ends it.
func TestWatchLists(t *testing.T) {
	address := serve(t)
	at := func(args ...string) []string { return append(args, "--address", address) }
	if out, _, err := fado("", at("failures", "--watch")...); err != nil || !strings.Contains(out, "ATTEMPTS") {
		t.Errorf("without failures: %s, %v", out, err)
	}
	if _, _, err := fado("", at("buckets", "--watch")...); err != nil {
		t.Errorf("without buckets: %v", err)
	}
	if _, _, err := fado(documentYAML+"buckets:\n- {name: photos, policy: keep}\n", at("apply", "-f", "-", "--yes")...); err != nil {
		t.Fatal(err)
	}
	if out, _, err := fado("", at("buckets", "--watch")...); err != nil || !strings.Contains(out[strings.LastIndex(out, "PRIMARY"):], "  ok  ") {
		t.Errorf("it ends before the bucket is ok: %s, %v", out, err)
	}
	for list, head := range map[string]string{"clusters": "STORAGE", "policies": "COPIES", "zones": "INSIDE"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		out := &looks{text: head, end: cancel}
		cmd := &cobra.Command{Use: "fado", SilenceUsage: true}
		cmd.AddCommand(cli.Commands()...)
		cmd.SetArgs(at(list, "--watch"))
		cmd.SetOut(out)
		if err := cmd.ExecuteContext(ctx); err != nil || strings.Count(out.String(), head) != 2 {
			t.Errorf("%s: %v\n%s", list, err, out)
		}
		cancel()
	}
}

// Every command has its row in docs/cli.md, and can be asked for JSON and for another address.
func TestCommandsAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range cli.Commands() {
		if text := string(page); !strings.Contains(text, "`"+cmd.Name()+"`") && !strings.Contains(text, "`"+cmd.Name()+" ") {
			t.Errorf("docs/cli.md does not name %s", cmd.Name())
		}
		for _, flag := range []string{"json", "address", "config", "adapter"} {
			if cmd.Flags().Lookup(flag) == nil {
				t.Errorf("%s has no --%s", cmd.Name(), flag)
			}
		}
	}
}

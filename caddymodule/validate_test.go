package caddymodule

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/catalog"
)

// validate does what caddy validate does.
func (c config) validate() error {
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	var parsed caddy.Config
	if err := caddy.StrictUnmarshalJSON(raw, &parsed); err != nil {
		return err
	}
	return caddy.Validate(&parsed)
}

// callCounter is a server that counts who connects to it.
func callCounter(t *testing.T) (url string, calls *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	calls = new(atomic.Int64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			conn.Close()
		}
	}()
	return "http://" + l.Addr().String(), calls
}

// TestValidateHasNoSideEffects: caddy validate makes no file and no connection.
func TestValidateHasNoSideEffects(t *testing.T) {
	noLeaks(t)
	url, calls := callCounter(t)
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", filepath.Join(dir, "data"))
	before := tree(t, dir)
	for _, store := range []string{"store sqlite " + filepath.Join(dir, "own", "fado.db"), "store sqlite", "", "store postgres " + strings.Replace(url, "http://", "postgres://fado:hush@", 1) + "/fado"} {
		c := parse(t, fmt.Sprintf("fado {\n%s\nzone eu\ncluster c1 {\nzones eu\nstorage %s\nfunction %s\n}\nbucket b-1\n}", store, url, url),
			"http://127.0.0.1:0 {\nreverse_proxy {\ndynamic fado\ntransport fado\nlb_policy data_aware\n}\n}")
		if err := c.validate(); err != nil {
			t.Fatalf("%q: %v", store, err)
		}
	}
	if after := tree(t, dir); after != before {
		t.Errorf("files were made:\n%s", after)
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

// TestInvalidJSON holds what JSON can say and a Caddyfile can't to its errors.
func TestInvalidJSON(t *testing.T) {
	noLeaks(t)
	for name, test := range map[string]struct{ app, want string }{
		"null item":      {`{"zones":[null]}`, "zones[0]: null: expected an object"},
		"postgres none":  {`{"store":{"type":"postgres"}}`, "dsn: opening the store: no connection string given"},
		"postgres dsn":   {`{"store":{"type":"postgres","dsn":"postgres://fado:hush@db:port/x"}}`, "the connection string is refused"},
		"postgres unset": {`{"store":{"type":"postgres","dsn":"postgres://fado:{env.FADO_TEST_UNSET}@db/x"}}`, "dsn: evaluated placeholder {env.FADO_TEST_UNSET} is empty"},
		"postgres conns": {`{"store":{"type":"postgres","dsn":"postgres://db/x","max_conns":2,"min_conns":3}}`, `min_conns: "3": expected a number up to max_conns`},
		"postgres lease": {`{"store":{"type":"postgres","dsn":"postgres://db/x","lease":"10ms"}}`, `lease: "10ms": expected a duration from 1s to 1m`},
		"unknown store":  {`{"store":{"type":"etcd"}}`, `"etcd": expected one of postgres, sqlite`},
		"store no type":  {`{"store":{"path":"x"}}`, `"": expected one of postgres, sqlite`},
		"store field":    {`{"store":{"type":"sqlite","pth":"x"}}`, "pth"},
		"node":           {`{"node":"a b"}`, `node: "a b": expected`},
		"node missing":   {`{"node":"{env.FADO_TEST_UNSET}"}`, "FADO_TEST_UNSET"},
		"audit key":      {`{"audit":{"key":"{env.FADO_TEST_UNSET}"}}`, "audit.key: evaluated placeholder {env.FADO_TEST_UNSET} is empty"},
		"audit no key":   {`{"audit":{"key":"rubbish"}}`, "audit.key: expected PRIVATE+KEY"},
		"key missing":    {`{"encryption_key":"{env.FADO_TEST_UNSET}"}`, "encryption_key: evaluated placeholder {env.FADO_TEST_UNSET} is empty"},
		"key too short":  {`{"encryption_key":"fifteen letters"}`, "encryption_key: it has 15 characters, expected at least 16"},
		"path missing":   {`{"store":{"type":"sqlite","path":"{env.FADO_TEST_UNSET}/x"}}`, "FADO_TEST_UNSET"},
		"two violations": {`{"zones":[{"name":"EU"}],"buckets":[{"name":"x"}]}`, "bucket x: name"},
		"twice":          {`{"zones":[{"name":"eu"},{"name":"eu"}]}`, "zone eu"},
		"workers":        {`{"replication":{"workers":-1}}`, `replication.workers: "-1": expected a number from 1 to 1000`},
		"scan interval":  {`{"replication":{"scan_interval":1000}}`, `replication.scan_interval`},
		"event feed":     {`{"replication":{"event_feed":"on"}}`, `replication.event_feed: "on"`},
		"max deletes":    {`{"replication":{"max_deletes":"all"}}`, `max_deletes: "all": expected`},
		"drain timeout":  {`{"replication":{"drain_timeout":"-1s"}}`, `replication.drain_timeout`},
		"bandwidth":      {`{"replication":{"bandwidth":"quick"}}`, `"quick": expected a size`},
		"balance":        {`{"policies":[{"name":"p","balance":{"policy":"fair"}}]}`, "policy p: balance"},
		"balance field":  {`{"policies":[{"name":"p","balance":{"policy":"first","wait":1}}]}`, "policy p: balance"},
		"balance values": {`{"policies":[{"name":"p","balance":{"policy":"weighted_round_robin"}}]}`, "requires at least one upstream with a positive weight"},
		"balance nested": {`{"policies":[{"name":"p","balance":{"policy":"header","field":"X","fallback":{"policy":"data_aware"}}}]}`, "data_aware can't balance within itself"},
		"balance self":   {`{"policies":[{"name":"p","balance":{"policy":"data_aware"}}]}`, `"data_aware": expected one of`},
		"balance name":   {`{"policies":[{"name":"p","balance":{}}]}`, "policy p: balance"},
		"secrets": {
			`{"zones":[{"name":"eu"}],"clusters":[{"name":"c1","zones":["eu"],"storage":{"endpoint":"http://h:1","access_key":"{env.FADO_TEST_A}","secret_key":"{file./nowhere/b}"}}]}`,
			"cluster c1: storage.access_key: evaluated placeholder {env.FADO_TEST_A} is empty\ncluster c1: storage.secret_key: evaluated placeholder {file./nowhere/b} is empty",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var app map[string]any
			if err := json.Unmarshal([]byte(test.app), &app); err != nil {
				t.Fatal(err)
			}
			c := parse(t, "fado", "")
			c["apps"].(map[string]any)["fado"] = app
			if err := c.validate(); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

// TestSecretsAreResolvedLate: what has a value now is accepted, a literal with braces
// is a literal, and neither is replaced in what is declared.
func TestSecretsAreResolvedLate(t *testing.T) {
	t.Setenv("FADO_TEST_KEY", "value of the key")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"{env.FADO_TEST_KEY}":     "value of the key",
		"a-{env.FADO_TEST_KEY}-b": "a-value of the key-b",
		"{file." + file + "}":     "from a file",
		"literal{with}braces":     "literal{with}braces",
		"":                        "",
	} {
		if got, err := resolveSecret(in); err != nil || got != want {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
	_, err := openStorage("c1", &catalog.Storage{Endpoint: "http://127.0.0.1:1", SecretKey: "{env.FADO_TEST_UNSET}"})
	if err == nil || !strings.Contains(err.Error(), "secret_key: evaluated placeholder {env.FADO_TEST_UNSET} is empty") {
		t.Errorf("a storage was opened with a secret that is missing: %v", err)
	}
	noLeaks(t)
	c := parse(t, "fado {\nzone eu\ncluster c1 {\nzones eu\nstorage http://127.0.0.1:1 {\naccess_key {env.FADO_TEST_KEY}\nsecret_key literal{with}braces\n}\n}\n}", "")
	if err := c.validate(); err != nil {
		t.Error(err)
	}
}

// TestExample: the example at the root of the repository is a valid configuration.
func TestExample(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir()) // goes after Caddy, which noLeaks ends
	noLeaks(t)
	text, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	out, err := adapt(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var c config
	if err := json.Unmarshal(out, &c); err != nil {
		t.Fatal(err)
	}
	if err := c.validate(); err != nil {
		t.Error(err)
	}
	// And it runs; on ports that are free here, and with no server it names running.
	c["admin"] = map[string]any{"disabled": true, "config": map[string]any{"persist": false}}
	servers := c.app("http")["servers"].(map[string]any)
	for _, s := range servers {
		s.(map[string]any)["listen"] = []string{fmt.Sprintf("127.0.0.1:%d", freePort(t))}
	}
	mustLoad(t, c)
	if n := running(t).Router().Snapshot().Bucket("private"); n == nil {
		t.Error("the example's buckets are not routed")
	}
}

// TestDocumentation: the configurations in the documentation are valid.
func TestDocumentation(t *testing.T) {
	noLeaks(t)
	for _, name := range []string{"AK", "SK", "BERLIN_ACCESS_KEY"} {
		t.Setenv(name, "x")
	}
	var c config
	if err := json.Unmarshal([]byte(fenced(t, "../docs/configuration.md", "json")), &c); err != nil {
		t.Fatal(err)
	}
	if err := c.validate(); err != nil {
		t.Errorf("the JSON of docs/configuration.md: %v", err)
	}
	if _, err := adapt(fenced(t, "../README.md", "caddyfile")); err != nil {
		t.Errorf("the Caddyfile of README.md: %v", err)
	}
}

// TestDocumentedGrammar: the grammar in the documentation is the one of UnmarshalCaddyfile,
// but for what this version refuses.
func TestDocumentedGrammar(t *testing.T) {
	source, err := os.ReadFile("caddyfile.go")
	if err != nil {
		t.Fatal(err)
	}
	comment, _, _ := strings.Cut(string(source), "\nfunc (app *App) UnmarshalCaddyfile")
	var want []string
	for line := range strings.Lines(comment) {
		if text, ok := strings.CutPrefix(line, "//\t"); ok {
			want = append(want, strings.TrimSpace(text))
		}
	}
	got := fenced(t, "../docs/configuration.md", "caddyfile")
	for _, line := range want {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("docs/configuration.md lacks %q", line)
		}
	}
	if len(want) < 50 {
		t.Errorf("only %d lines of grammar were found", len(want))
	}
}

// fenced returns the first code block of a language in a Markdown file.
func fenced(t *testing.T, file, language string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n```"+language+"\n")
	if !ok {
		t.Fatalf("%s has no %s", file, language)
	}
	block, _, _ := strings.Cut(rest, "\n```")
	return block + "\n"
}

package cli_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// What is missing or too much is said with what was expected.
func TestArguments(t *testing.T) {
	for _, tc := range []struct {
		says string
		args []string
	}{
		{`"catalogue": expected documents behind -f: fado plan -f catalogue`, []string{"plan", "catalogue"}},
		{`"a.yaml": expected documents behind -f: fado apply -f a.yaml`, []string{"apply", "a.yaml", "--yes"}},
		{"0 arguments: expected fado bucket <bucket>", []string{"bucket"}},
		{"2 arguments: expected fado drain <cluster>", []string{"drain", "a", "b"}},
		{`--address: "http://localhost:2019": expected one address, such as localhost:2019 or unix//run/caddy.sock`, []string{"status", "--address", "http://localhost:2019"}},
		{`--address: "localhost:2000-2010": expected one address, such as localhost:2019 or unix//run/caddy.sock`, []string{"status", "--address", "localhost:2000-2010"}},
		{"-f: not given: expected a document, a directory of documents, or - for standard input", []string{"plan"}},
	} {
		if _, _, err := fado("", tc.args...); fmt.Sprint(err) != tc.says {
			t.Errorf("%q: %v, want %s", tc.args, err, tc.says)
		}
	}
}

// An admin endpoint on a Unix socket is asked as Caddy's own commands ask it, also where the address
// has the socket's permissions, as configurations write it.
func TestUnixSockets(t *testing.T) {
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"} {
		t.Setenv(name, t.TempDir())
	}
	dir := t.TempDir()
	listen := "unix/" + filepath.Join(dir, "admin.sock")
	config := filepath.Join(dir, "caddy.json")
	write(t, config, fmt.Sprintf(`{"admin":{"listen":"%s|0660","config":{"persist":false}},"logging":{"logs":{"default":{"level":"ERROR"}}},
		"apps":{"fado":{"store":{"type":"sqlite","path":%q},"node":"n1","replication":{"disabled":true}}}}`, listen, filepath.Join(t.TempDir(), "fado.db")))
	body, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(body, true); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	for _, at := range [][]string{{"--address", listen}, {"--address", listen + "|0660"}, {"--config", config}} {
		if out, _, err := fado("", append([]string{"status"}, at...)...); err != nil || !strings.Contains(out, "on n1") {
			t.Errorf("%q: %v\n%s", at, err, out)
		}
		if _, _, err := fado("fado: 1\nzones:\n- name: eu\n", append([]string{"apply", "-f", "-", "--yes"}, at...)...); err != nil {
			t.Errorf("%q: %v", at, err)
		}
	}
}

// Who answers that is no FaDO is told of in a line, and what it says can't draw on the terminal.
func TestAnswersOfOthers(t *testing.T) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	page := "<html>\n" + strings.Repeat("<p>\x1b[31mwrong door</p>\n", 10_000)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fado/zones":
			_, _ = fmt.Fprint(w, page)
		default:
			http.Error(w, page, http.StatusNotFound)
		}
	})}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	for _, args := range [][]string{{"status"}, {"zones"}, {"export"}} {
		out, _, err := fado("", append(args, "--address", l.Addr().String())...)
		if err == nil || out != "" || len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q: %.2000q %v", args, out, err)
		}
	}
}

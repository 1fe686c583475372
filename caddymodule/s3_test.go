package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Caddy puts a reader of its own in the place of a request's body. All the same, what is left
// of a body after an early answer of the S3 endpoint is no request, and a client that waits to
// be told to send is answered at once.
func TestTheRestOfAnUploadIsNoRequest(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	mustLoad(t, parse(t, "fado {\n store sqlite "+filepath.Join(dir, "fado.db")+"\n}\nlog default {\n output discard\n}\n",
		"http:// {\n bind unix/"+socket+"\n log\n fado_s3 {\n anonymous b\n }\n}\n"))
	const rest, times = "GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n", 400_000 // more than servers read for nothing
	for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "PUT /b/k HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n", expect, 4+times*len(rest))
		if expect == "" {
			go func() { _, _ = io.WriteString(conn, "body"+strings.Repeat(rest, times)) }()
		}
		answers := bufio.NewReader(conn)
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusForbidden {
			t.Errorf("%d %v", res.StatusCode, err)
		}
		res.Body.Close()
		if expect != "" {
			_, _ = io.WriteString(conn, rest)
		}
		if again, err := http.ReadResponse(answers, nil); err == nil {
			t.Errorf("the rest of the body was answered with %d", again.StatusCode)
			again.Body.Close()
		}
	}
}
